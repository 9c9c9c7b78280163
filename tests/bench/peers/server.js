// Meters into a Map, as the application had it: the peer under PM2's cluster mode, and alone.
//
// BENCH_PORT, BENCH_ROOM (bytes of receive buffer), BENCH_FOLDER: where it says that it is ready (PID.ready), and what
// it has stored when SIGUSR2 asks (PID.tally: how often it was asked, datagrams).
const dgram = require('node:dgram');
const fs = require('node:fs');
const path = require('node:path');

const { BENCH_PORT, BENCH_ROOM, BENCH_FOLDER } = process.env;
const levels = new Map();
let stored = 0;
let asked = 0;

// By rename: nobody reads half of it.
function tell(kind, text) {
  const file = path.join(BENCH_FOLDER, `${process.pid}.${kind}`);
  fs.writeFileSync(`${file}.new`, text);
  fs.renameSync(`${file}.new`, file);
}

const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true, recvBufferSize: Number(BENCH_ROOM) });
socket.on('message', (datagram, sender) => {
  try {
    const { params } = JSON.parse(datagram);
    for (const { param, val } of params) levels.set(`${sender.address} ${param}`, val);
    stored += 1;
  } catch {
    // Not a message of the protocol: not stored, so not counted.
  }
});
socket.on('listening', () => tell('ready', ''));
process.on('SIGUSR2', () => tell('tally', `${++asked} ${stored}`));
socket.bind({ port: Number(BENCH_PORT), address: '127.0.0.1', exclusive: false });
