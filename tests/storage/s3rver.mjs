// An S3 server on a free port over the directory given, with the bucket "bucket"; prints its port, ends with its input.
import {createRequire} from "node:module";
const S3rver = createRequire(process.cwd() + "/")("s3rver");

const server = new S3rver({address: "127.0.0.1", port: 0, silent: true, directory: process.argv[2],
	configureBuckets: [{name: "bucket"}]});
const {port} = await server.run();
console.log(port);
process.stdin.on("end", () => process.exit(0)).resume();
