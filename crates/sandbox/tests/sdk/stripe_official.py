"""stripe (official) against the sandbox: only the address and the keys are set."""

import time

import stripe

from common import BASE, CONFIG, Shop, control, get, post_form, same, shopper

keys = CONFIG["stripe"]
shop = Shop(ack=(200, b""))
control("POST", "/sandbox/webhook", {"account": "stripe-main", "url": shop.url})
client = stripe.StripeClient(keys["secret_key"], base_addresses={"api": BASE},
                             max_network_retries=0)
intents, refunds = client.v1.payment_intents, client.v1.refunds


def webhook():
    headers, body = shop.next()
    return client.construct_event(body, headers["Stripe-Signature"], keys["webhook_secret"])


def fails(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError("no %s" % kind.__name__)


def create(method, order, key=None, **more):
    params = {"amount": 2000, "currency": "usd", "payment_method_types": ["card"],
              "payment_method": method, "confirm": True, "metadata": {"order_id": order}, **more}
    return intents.create(params, {"idempotency_key": key} if key else {})


# A card that works, once for each key.
paid = create("pm_card_visa", "S1", key="k1")
same((paid.status, paid.amount_received), ("succeeded", 2000))
again = create("pm_card_visa", "S1", key="k1")
same(again.id, paid.id)
same(again.last_response.headers["Idempotent-Replayed"], "true")
error = fails(stripe.IdempotencyError, lambda: create("pm_card_visa", "S2", key="k1"))
same(error.http_status, 400)
event = webhook()
same((event.type, event.data.object.id), ("payment_intent.succeeded", paid.id))
same(client.v1.events.retrieve(event.id).data.object.status, "succeeded")
bad = fails(stripe.SignatureVerificationError, lambda: client.construct_event(
    b"{}", "t=1,v1=00", keys["webhook_secret"]))

# Cards that do not, and the intent stays payable.
for card, code, decline in [
    ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
    ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
]:
    error = fails(stripe.CardError, lambda: create(card, "S3", key="k-" + card))
    same((error.http_status, error.code, error.error.decline_code), (402, code, decline), card)
    left = intents.retrieve(error.error.payment_intent.id)
    same((left.status, left.last_payment_error.code), ("requires_payment_method", code))
    same(webhook().type, "payment_intent.payment_failed")
    # The decline is what the key keeps.
    again = fails(stripe.CardError, lambda: create(card, "S3", key="k-" + card))
    same(again.error.payment_intent.id, left.id)
retried = intents.confirm(left.id, {"payment_method": "pm_card_visa"})
same(retried.status, "succeeded")
same(webhook().type, "payment_intent.succeeded")
data = {"type": "card", "card": {"number": "4000000000009995", "exp_month": 12, "exp_year": 2034,
                                 "cvc": "123"}}
method = client.v1.payment_methods.create(data)
same(client.v1.payment_methods.retrieve(method.id).card.last4, "9995")
error = fails(stripe.CardError, lambda: create(method.id, "S4"))
same(error.error.decline_code, "insufficient_funds")
webhook()
data["card"]["number"] = "4242424242424242"
good = client.v1.payment_methods.create(data)
same(create(good.id, "S4b").status, "succeeded")
webhook()

# Validation is not kept under the key.
error = fails(stripe.InvalidRequestError, lambda: create("pm_card_visa", "S5", key="k5", amount=1))
same((error.code, error.param), ("amount_too_small", "amount"))
same(create("pm_card_visa", "S5", key="k5").status, "succeeded")
webhook()
error = fails(stripe.InvalidRequestError, lambda: intents.create(
    {"amount": 2000, "currency": "usd", "colour": "red"}))
same(error.code, "parameter_unknown")

# Reading back: lists, pages, search, expansion.
page = intents.list({"limit": 2, "created": {"gte": paid.created, "lte": int(time.time()) + 1}})
same((len(page.data), page.has_more), (2, True))
everything = [intent.id for intent in page.auto_paging_iter()]
assert len(everything) == len(set(everything)) >= 9 and everything[-1] == paid.id, everything
found = intents.search({"query": "metadata['order_id']:'S1'"})
same([intent.id for intent in found.data], [paid.id])
wide = intents.retrieve(paid.id, {"expand": ["latest_charge", "payment_method"]})
same((wide.latest_charge.amount, wide.payment_method.card.last4), (2000, "4242"))
same(client.v1.charges.retrieve(wide.latest_charge.id).payment_intent, paid.id)

# Refunds: without a key each call is a new one.
first = refunds.create({"payment_intent": paid.id, "amount": 500})
second = refunds.create({"payment_intent": paid.id, "amount": 500})
assert first.id != second.id
keyed = [refunds.create({"payment_intent": paid.id, "amount": 300}, {"idempotency_key": "r"}).id
         for _ in range(2)]
same(keyed[0], keyed[1])
error = fails(stripe.InvalidRequestError,
              lambda: refunds.create({"payment_intent": paid.id, "amount": 701}))
same(refunds.create({"charge": wide.latest_charge.id}).amount, 700)
error = fails(stripe.InvalidRequestError, lambda: refunds.create({"payment_intent": paid.id}))
same(error.code, "charge_already_refunded")
same(len(refunds.list({"payment_intent": paid.id}).data), 4)
same(refunds.retrieve(first.id).status, "succeeded")
same(sorted({webhook().type for _ in range(8)}), ["charge.refunded", "refund.created"])

# Cancel: frees an unpaid intent, and says so when it is too late.
open_one = intents.create({"amount": 2000, "currency": "usd", "metadata": {"order_id": "S6"}})
same(open_one.status, "requires_payment_method")
same(intents.cancel(open_one.id, {"cancellation_reason": "abandoned"}).status, "canceled")
same(webhook().type, "payment_intent.canceled")
for late in (open_one.id, paid.id):
    error = fails(stripe.InvalidRequestError, lambda: intents.cancel(late))
    same(error.code, "payment_intent_unexpected_state")
same(error.error.payment_intent.status, "succeeded")

# Manual capture.
held = create("pm_card_visa", "S7", capture_method="manual")
same((held.status, held.amount_capturable), ("requires_capture", 2000))
same(webhook().type, "payment_intent.amount_capturable_updated")
same(intents.capture(held.id, {"amount_to_capture": 1500}).amount_received, 1500)
webhook()

# Alipay and WeChat Pay through Stripe.
ali = intents.create({
    "amount": 2000, "currency": "cny", "payment_method_types": ["alipay"], "confirm": True,
    "payment_method_data": {"type": "alipay"}, "return_url": "http://127.0.0.1/back",
    "metadata": {"order_id": "S8"}})
same((ali.status, ali.next_action.type), ("requires_action", "alipay_handle_redirect"))
same(webhook().type, "payment_intent.requires_action")
url = ali.next_action.alipay_handle_redirect.url
assert "20.00" in get(url)
assert "http://127.0.0.1/back" in post_form(url, outcome="pay")
same(intents.retrieve(ali.id).status, "succeeded")
same(webhook().type, "payment_intent.succeeded")
wx = intents.create({
    "amount": 2000, "currency": "cny", "payment_method_types": ["wechat_pay"], "confirm": True,
    "payment_method_data": {"type": "wechat_pay"},
    "payment_method_options": {"wechat_pay": {"client": "web"}}})
webhook()
code = wx.next_action.wechat_pay_display_qr_code.data
same(shopper(code=code, outcome="decline")["paid"], False)
same(intents.retrieve(wx.id).status, "requires_payment_method")
same(webhook().type, "payment_intent.payment_failed")

# A card that wants its holder.
asks = create("pm_card_authenticationRequired", "S9", return_url="http://127.0.0.1/back")
webhook()
same(shopper(code=asks.next_action.redirect_to_url.url)["paid"], True)
same(intents.retrieve(asks.id).status, "succeeded")
webhook()
error = fails(stripe.CardError,
              lambda: create("pm_card_authenticationRequired", "S10", off_session=True))
same(error.code, "authentication_required")
webhook()

# The browser's key and a client secret.
shown = intents.create({"amount": 2000, "currency": "usd", "payment_method_types": ["card"]})
same(shopper(code=shown.client_secret, card="4000 0000 0000 0002")["declined"], "generic_decline")
webhook()
same(shopper(code=shown.client_secret)["paid"], True)
webhook()

# Keys, missing objects, faults.
stranger = stripe.StripeClient("sk_test_nobody", base_addresses={"api": BASE})
fails(stripe.AuthenticationError, lambda: stranger.v1.payment_intents.retrieve(paid.id))
error = fails(stripe.InvalidRequestError, lambda: intents.retrieve("pi_nobody"))
same((error.http_status, error.code), (404, "resource_missing"))
fails(stripe.InvalidRequestError, lambda: client.raw_request("get", "/v1/unicorns"))
control("POST", "/sandbox/faults", {"id": "a", "match": {"provider": "stripe"}, "fault": {
    "kind": "http_status", "status": 500, "effect": "after"}})
for _ in range(2):
    fails(stripe.APIError, lambda: create("pm_card_visa", "S11", key="k11"))
control("DELETE", "/sandbox/faults/a")
error = fails(stripe.APIError, lambda: create("pm_card_visa", "S11", key="k11"))
same(error.headers["Idempotent-Replayed"], "true", "the stored 500")
same([i.status for i in intents.search({"query": "metadata['order_id']:'S11'"}).data],
     ["succeeded"], "the effect behind the 500")
webhook()
same(client.v1.balance.retrieve().object, "balance")

print("stripe: all as expected")
