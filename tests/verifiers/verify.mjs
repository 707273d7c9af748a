// Verifies webhook requests by the JavaScript library of Standard Webhooks: each by every secret that is to fit, and by none
// once a byte of it is another.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const { secrets, stranger, requests } = JSON.parse(readFileSync("requests.json", "utf8"));
let verified = 0;
let refused = 0;

function refuses(secret, body, headers) {
  try {
    new Webhook(secret).verify(body, headers);
  } catch {
    refused += 1;
    return;
  }
  throw new Error("a request that is not as it was sent is verified");
}

for (const { headers, body } of requests) {
  for (const secret of secrets) {
    const told = new Webhook(secret).verify(body, headers);
    if (told.id !== headers["webhook-id"]) throw new Error(`${told.id} is not the id of the request`);
    verified += 1;
    refuses(secret, body.replace("ping", "pong"), headers);
    refuses(secret, body, { ...headers, "webhook-id": "another" });
    refuses(secret, body, { ...headers, "webhook-timestamp": String(headers["webhook-timestamp"] - 1) });
  }
  refuses(stranger, body, headers);
}
console.log(`javascript: ${verified} verified, ${refused} refused`);
