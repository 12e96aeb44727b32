// A WASI program on V8: node wasm.js PROGRAM [ARG...]
const { readFileSync } = require('fs');
const { WASI } = require('wasi');

const wasi = new WASI({ version: 'preview1', args: process.argv.slice(2), returnOnExit: true });
WebAssembly.instantiate(readFileSync(process.argv[2]), { wasi_snapshot_preview1: wasi.wasiImport })
  .then(({ instance }) => { process.exitCode = wasi.start(instance); });
