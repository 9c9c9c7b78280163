const fs = require('fs');
const path = process.argv[1];
// What the file prints is no answer.
Object.defineProperty(process, 'stdout', { get: () => process.stderr });
console.log = console.info = console.debug = console.error;
const exit = process.exit.bind(process);
const say = answer => {
  fs.writeFileSync(1, '\0' + JSON.stringify(answer) + '\0');
  exit();
};
// The first place in a stack that is the user's own: no part of Node.js, no package.
const placeOf = stack => {
  for (const line of String(stack).split('\n')) {
    const place = /^(?:\s+at (?:.*\()?)?(?:file:\/\/)?(\/.*?):(\d+)(?::\d+)?\)?$/.exec(line);
    if (place && !place[1].includes('/node_modules/')) {
      return { file: place[1] === path || place[1] === fs.realpathSync(path) ? null : place[1], line: Number(place[2]) };
    }
  }
  return {};
};
// Node.js tells the place of a module's syntax error to standard error alone.
const checked = () => require('child_process').spawnSync(process.execPath, ['--check', path]).stderr;
const fail = error => {
  let message = `it throws ${String(error)}`;
  let place = {};
  if (error instanceof Error || (error && error.stack)) {
    message = error.name === 'Error' ? String(error.message) : `${error.name}: ${error.message}`;
    place = placeOf(error.stack);
    if (!place.line && error instanceof SyntaxError) place = placeOf(checked());
  }
  say({ failed: { message: message.split('\n')[0], ...place } });
};
process.on('uncaughtException', fail);
import(require('url').pathToFileURL(path)).then(async module => {
  let value = await (module.default ?? module);
  if (value && value.__esModule && value.default) value = value.default;
  if (typeof value === 'function') value = await value();
  say({ exported: value ?? null });
}).catch(fail);
