// The providers' Node SDKs against a running sandbox: only the address and the keys are set.
//
//   cargo run -p sandbox --example serve > /tmp/sandbox.json &
//   cd crates/sandbox/tests/sdk/node && npm install
//   TZ=Asia/Shanghai node trial.mjs /tmp/sandbox.json

import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { AlipaySdk } from "alipay-sdk";
import Stripe from "stripe";
import { Aes, Formatter, Rsa, Wechatpay } from "wechatpay-axios-plugin";
import WxPay from "wechatpay-node-v3";

const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
const base = config.base_url;
const run = Date.now().toString(36);

// A merchant's endpoint.
const told = [];
const waiting = [];
const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const one = { headers: request.headers, body: Buffer.concat(chunks).toString() };
    waiting.length ? waiting.shift()(one) : told.push(one);
    response.end("success");
  });
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const shop = `http://127.0.0.1:${server.address().port}/notify`;
const next = () =>
  told.length ? Promise.resolve(told.shift()) : new Promise((done) => waiting.push(done));

async function control(path, body) {
  const answer = await fetch(base + path, { method: "POST", body: JSON.stringify(body) });
  assert.ok(answer.ok, await answer.clone().text());
  return answer.json();
}
const shopper = (what) => control("/sandbox/pay", what);

async function alipay() {
  const keys = config.alipay;
  const pkcs1 = createPrivateKey(keys.app_private_key_pem).export({ type: "pkcs1", format: "pem" });
  const sdk = new AlipaySdk({
    appId: keys.app_id,
    privateKey: pkcs1,
    alipayPublicKey: keys.alipay_public_key_pem,
    gateway: `${base}/gateway.do`,
    camelcase: true,
  });
  const order = { out_trade_no: `N${run}`, total_amount: "9.90", subject: "明前龙井" };
  const made = await sdk.exec("alipay.trade.precreate", { notify_url: shop, bizContent: order });
  assert.equal(made.code, "10000");
  const query = () =>
    sdk.exec("alipay.trade.query", { bizContent: { out_trade_no: order.out_trade_no } });
  assert.equal((await query()).subCode, "ACQ.TRADE_NOT_EXIST");
  await shopper({ code: made.qrCode });
  assert.equal((await query()).tradeStatus, "TRADE_SUCCESS");
  const fields = Object.fromEntries(new URLSearchParams((await next()).body));
  assert.ok(sdk.checkNotifySignV2(fields));
  assert.ok(!sdk.checkNotifySignV2({ ...fields, total_amount: "0.01" }));
  const refund = await sdk.exec("alipay.trade.refund", {
    bizContent: { out_trade_no: order.out_trade_no, refund_amount: "1.00", out_request_no: "r1" },
  });
  assert.equal(refund.refundFee, "1.00");
  await next();
  // curl() of this SDK speaks the v3 protocol, which the sandbox does not.
  const page = sdk.pageExecute("alipay.trade.page.pay", "GET", {
    bizContent: { ...order, out_trade_no: `W${run}`, product_code: "FAST_INSTANT_TRADE_PAY" },
  });
  assert.equal((await shopper({ code: page })).order_no, `W${run}`);
  const app = sdk.sdkExecute("alipay.trade.app.pay", {
    bizContent: { ...order, out_trade_no: `A${run}`, product_code: "QUICK_MSECURITY_PAY" },
  });
  assert.equal((await shopper({ code: app })).paid, true);
}

async function axiosPlugin(mode) {
  const keys = config.wechatpay;
  const certs =
    mode === "public key"
      ? { [keys.public_key_id]: keys.public_key_pem }
      : { [keys.platform_serial]: keys.platform_certificate_pem };
  const wxpay = new Wechatpay({
    mchid: keys.mch_id,
    serial: keys.merchant_serial,
    privateKey: keys.merchant_private_key_pem,
    certs,
    baseURL: `${base}/`,
    ...(mode === "public key" ? { headers: { "Wechatpay-Serial": keys.public_key_id } } : {}),
  });
  const number = `X${mode[0]}${run}`;
  const made = await wxpay.v3.pay.transactions.native.post({
    appid: keys.app_id, mchid: keys.mch_id, description: "明前龙井", out_trade_no: number,
    notify_url: shop, amount: { total: 7 },
  });
  await shopper({ code: made.data.code_url });
  const paid = await wxpay.v3.pay.transactions.outTradeNo._out_trade_no_.get({
    out_trade_no: number, params: { mchid: keys.mch_id },
  });
  assert.equal(paid.data.trade_state, "SUCCESS");
  const { headers, body } = await next();
  const text = Formatter.response(headers["wechatpay-timestamp"], headers["wechatpay-nonce"], body);
  const key = certs[headers["wechatpay-serial"]];
  assert.ok(key, headers["wechatpay-serial"]);
  assert.ok(Rsa.verify(text, headers["wechatpay-signature"], key));
  const { nonce, ciphertext, associated_data } = JSON.parse(body).resource;
  const plain = JSON.parse(Aes.AesGcm.decrypt(ciphertext, keys.api_v3_key, nonce, associated_data));
  assert.equal(plain.out_trade_no, number);
  const closed = wxpay.v3.pay.transactions.outTradeNo._out_trade_no_.close.post(
    { mchid: keys.mch_id }, { out_trade_no: number });
  await assert.rejects(closed, (error) => error.response.data.code === "ORDERPAID");
  const free = await wxpay.v3.pay.transactions.outTradeNo._out_trade_no_.close.post(
    { mchid: keys.mch_id }, { out_trade_no: `free-${number}` });
  assert.equal(free.status, 204);
}

async function nodeV3() {
  const keys = config.wechatpay;
  const pay = new WxPay({
    appid: keys.app_id,
    mchid: keys.mch_id,
    publicKey: Buffer.from(keys.merchant_certificate_pem),
    privateKey: Buffer.from(keys.merchant_private_key_pem),
    key: keys.api_v3_key,
  });
  // The address is fixed in this SDK; its HTTP service is what can be exchanged.
  const led = (url) => url.replace("https://api.mch.weixin.qq.com", base);
  const read = async (response) => ({
    status: response.status,
    ...(response.ok
      ? { data: response.status === 204 ? undefined : await response.json() }
      : { error: await response.text() }),
  });
  pay.createHttp({
    get: async (url, headers) => read(await fetch(led(url), { headers })),
    post: async (url, params, headers) =>
      read(await fetch(led(url), {
        method: "POST", body: JSON.stringify(params),
        headers: { "Content-Type": "application/json", ...headers },
      })),
  });
  const number = `V${run}`;
  const made = await pay.transactions_native({
    description: "tea", out_trade_no: number, notify_url: shop, amount: { total: 3 },
  });
  assert.equal(made.status, 200, JSON.stringify(made));
  await shopper({ code: made.data.code_url });
  const paid = await pay.query({ out_trade_no: number });
  assert.equal(paid.data.trade_state, "SUCCESS");
  const { headers, body } = await next();
  const { nonce, ciphertext, associated_data } = JSON.parse(body).resource;
  const plain = pay.decipher_gcm(ciphertext, associated_data, nonce, keys.api_v3_key);
  assert.equal(plain.out_trade_no, number);
  const certificates = await pay.get_certificates(keys.api_v3_key);
  assert.equal(certificates[0].serial_no, keys.platform_serial);
  assert.equal(headers["wechatpay-serial"], keys.platform_serial);
}

async function stripe() {
  const keys = config.stripe;
  await control("/sandbox/webhook", { account: "stripe-main", url: shop });
  const { hostname, port } = new URL(base);
  const client = new Stripe(keys.secret_key, {
    host: hostname, port, protocol: "http", maxNetworkRetries: 0,
  });
  const order = {
    amount: 2000, currency: "usd", payment_method_types: ["card"], confirm: true,
    payment_method: "pm_card_visa", metadata: { order_id: `S${run}` },
  };
  const paid = await client.paymentIntents.create(order, { idempotencyKey: `k${run}` });
  assert.equal(paid.status, "succeeded");
  const again = await client.paymentIntents.create(order, { idempotencyKey: `k${run}` });
  assert.equal(again.id, paid.id);
  const { headers, body } = await next();
  const event = client.webhooks.constructEvent(body, headers["stripe-signature"], keys.webhook_secret);
  assert.equal(event.data.object.id, paid.id);
  await assert.rejects(
    client.paymentIntents.create({ ...order, payment_method: "pm_card_chargeDeclined" }),
    (error) => error.type === "StripeCardError" && error.code === "card_declined");
  await next();
  const refund = await client.refunds.create({ payment_intent: paid.id, amount: 100 });
  assert.equal(refund.status, "succeeded");
  const all = [];
  for await (const intent of client.paymentIntents.list({ limit: 1 })) all.push(intent.id);
  assert.ok(all.includes(paid.id));
}

for (const [name, trial] of [
  ["alipay-sdk", alipay],
  ["wechatpay-axios-plugin, public key", () => axiosPlugin("public key")],
  ["wechatpay-axios-plugin, certificate", () => axiosPlugin("certificate")],
  ["wechatpay-node-v3", nodeV3],
  ["stripe", stripe],
]) {
  await trial();
  console.log(`${name}: all as expected`);
}
server.close();
server.closeAllConnections();
