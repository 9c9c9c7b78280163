// A UDP worker in Node.js: it reads its slot's socket, which the cluster keeps, and prints what it hears.
//
//   atlas-cluster --workers 4 --set worker.wait_ready=false -- node server.js
//
// wait_ready=false, because Node.js cannot say READY=1: it has no Unix datagram sockets.
const dgram = require('node:dgram');

const worker = process.env.NODE_APP_INSTANCE; // 0, 1, 2 …
const socket = dgram.createSocket('udp4'); // 'udp6' for an address such as [::]:3131

socket.on('message', (datagram, sender) => {
  try {
    const update = JSON.parse(datagram);
    console.log(`worker ${worker}: ${JSON.stringify(update)}`);
  } catch {
    console.error(`worker ${worker}: ${sender.address} sent ${datagram.length} bytes that are no JSON`);
  }
});
socket.bind({ fd: 3 }); // never a port: the cluster has bound it

// Reload, restart, stop: what was taken is finished by now; what still waits is the successor's.
process.on('SIGTERM', () => socket.close());
