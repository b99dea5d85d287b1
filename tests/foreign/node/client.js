"use strict";

// Calls daybook as a team that writes no Python would: node client.js HOST:PORT INCLUDE_PATH:INCLUDE_PATH
// Every step says what it found; the first that is not as promised ends the run with a failure.

const assert = require("node:assert/strict");
const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const protobuf = require("protobufjs");

const [target, includes] = process.argv.slice(2);
const includeDirs = includes.split(":");
const invoice = require("./invoice.json");
const reference = require("./reference.json");

const services = ["invoice_service", "invoice_query_service", "reference_data_service"];
const definition = loader.loadSync(
  services.map((name) => `daybook/v1/${name}.proto`),
  { includeDirs, enums: String, longs: String, defaults: true },
);
const { daybook } = grpc.loadPackageDefinition(definition);
const clients = {
  invoices: new daybook.v1.InvoiceService(target, grpc.credentials.createInsecure()),
  queries: new daybook.v1.InvoiceQueryService(target, grpc.credentials.createInsecure()),
  reference: new daybook.v1.ReferenceDataService(target, grpc.credentials.createInsecure()),
};

async function main() {
  await call(clients.reference, "ApplyReferenceData", { data: reference });

  const first = await call(clients.invoices, "IngestInvoice", { invoice });
  assert.equal(first.replayed, false);
  assert.equal(first.totals.total.units, "250");
  console.log(`ingested ${first.invoiceId}`);

  const again = await call(clients.invoices, "IngestInvoice", { invoice });
  assert.deepEqual([again.invoiceId, again.replayed], [first.invoiceId, true]);
  console.log("replayed");

  const listed = await call(clients.queries, "ListOrderInvoices", {
    orderId: invoice.reference.id,
    minPosition: first.position,
  });
  assert.deepEqual(listed.invoices.map((found) => found.invoiceId), [first.invoiceId]);
  console.log(`listed under ${invoice.reference.id}`);

  const faulty = { ...invoice, uniqueIdentifier: "node-faulty", currencyCode: "XXZ", billingAddress: "nowhere" };
  const refused = await failure(clients.invoices, "IngestInvoice", { invoice: faulty });
  assert.equal(refused.code, grpc.status.INVALID_ARGUMENT);
  const { info, findings } = explain(refused);
  assert.equal(info.domain, "daybook");
  assert.match(info.reason, /^[A-Z_]+$/);
  assert.ok(findings.some(({ field }) => field === "invoice.currency_code"), JSON.stringify(findings));
  assert.ok(findings.some(({ field }) => field === "invoice.billing_address"), JSON.stringify(findings));
  console.log(`refused with ${info.reason}`);
  findings.forEach(({ field, description }) => console.log(`  ${field}: ${description}`));

  const hasty = { invoice: { ...invoice, uniqueIdentifier: "node-hasty" } };
  const late = await failure(clients.invoices, "IngestInvoice", hasty, 1);
  assert.equal(late.code, grpc.status.DEADLINE_EXCEEDED);
  const known = await call(clients.invoices, "IngestInvoice", hasty);
  assert.ok(known.invoiceId);
  console.log("asked again after a deadline");

  const many = Array.from({ length: 40 }, (_, n) => ({ ...invoice, uniqueIdentifier: `node-streamed-${n}` }));
  many[7].currencyCode = "XXZ";
  const results = await streamed(many);
  assert.equal(results.size, many.length);
  assert.equal(results.get("7").failure.findings[0].path, "invoice.currency_code");
  assert.equal(results.get("7").failure.status.code, grpc.status.INVALID_ARGUMENT);
  const resumed = await streamed(many.filter((_, n) => n !== 7));
  assert.ok([...resumed.values()].every(({ response }) => response.replayed));
  assert.equal(resumed.get("0").response.position, results.get("0").response.position);
  const batch = await call(clients.invoices, "BatchIngestInvoices", {
    requests: [{ invoice: many[8] }, { invoice: { ...invoice, uniqueIdentifier: "node-batched" } }],
    atomic: true,
  });
  assert.deepEqual(batch.results.map(({ response }) => response.replayed), [true, false]);
  console.log("streamed, gone on with, and sent as a batch");
}

// Sends everything while results come in; they tell by index which invoice they are about.
function streamed(invoices) {
  return new Promise((resolve, reject) => {
    const results = new Map();
    const stream = clients.invoices.StreamIngestInvoices({ deadline: new Date(Date.now() + 30_000) });
    stream.on("data", ({ results: some }) => some.forEach(({ index, result }) => results.set(index, result)));
    stream.on("error", reject);
    stream.on("end", () => resolve(results));
    invoices.forEach((each) => stream.write({ request: { invoice: each } }));
    stream.end();
  });
}

function call(client, method, request, milliseconds = 10_000) {
  const deadline = new Date(Date.now() + milliseconds);
  return new Promise((resolve, reject) => {
    client[method](request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

async function failure(...asked) {
  return call(...asked).then(
    () => assert.fail(`${asked[1]} should have failed`),
    (error) => error,
  );
}

const details = new protobuf.Root();
details.resolvePath = (_origin, file) => {
  if (protobuf.common.get(file)) return file;
  return includeDirs.map((folder) => path.join(folder, file)).find((full) => require("node:fs").existsSync(full));
};
details.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto"]);

// Every error carries a google.rpc.Status in its trailers, and in it what programs and people need.
function explain(error) {
  const [trailer] = error.metadata.get("grpc-status-details-bin");
  const attached = {};
  for (const { type_url: url, value } of details.lookupType("google.rpc.Status").decode(trailer).details) {
    const name = url.split("/").pop();
    attached[name] = details.lookupType(name).decode(value);
  }
  return {
    info: attached["google.rpc.ErrorInfo"],
    findings: attached["google.rpc.BadRequest"]?.fieldViolations ?? [],
  };
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
