// Reads [{schema, body}] and writes for each what ajv finds wrong with the body, or null.
import { json } from 'node:stream/consumers';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const ajv = new Ajv2020({ strict: true, allErrors: true });
addFormats(ajv);
const compiled = new Map();
function faults({ schema, body }) {
  const text = JSON.stringify(schema);
  if (!compiled.has(text)) compiled.set(text, ajv.compile(schema));
  const validate = compiled.get(text);
  return validate(body) ? null : ajv.errorsText(validate.errors);
}
console.log(JSON.stringify((await json(process.stdin)).map(faults)));
