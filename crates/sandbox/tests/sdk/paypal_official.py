"""paypal-server-sdk (official) against the sandbox: only the address and the keys are set."""

import base64
import urllib.request
import zlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from paypalserversdk.configuration import Configuration, Environment, Server
from paypalserversdk.exceptions.error_exception import ErrorException
from paypalserversdk.http.auth.o_auth_2 import ClientCredentialsAuthCredentials
from paypalserversdk.paypal_serversdk_client import PaypalServersdkClient

from common import BASE, CONFIG, Shop, control, same, shopper

keys = CONFIG["paypal"]
shop = Shop(ack=(200, b""))
control("POST", "/sandbox/webhook", {"account": "paypal-main", "url": shop.url})
Configuration.environments[Environment.SANDBOX][Server.DEFAULT] = BASE


def connect(secret):
    pair = ClientCredentialsAuthCredentials(
        o_auth_client_id=keys["client_id"], o_auth_client_secret=secret)
    return PaypalServersdkClient(
        client_credentials_auth_credentials=pair, environment=Environment.SANDBOX)


client = connect(keys["client_secret"])
WHOLE = "return=representation"


def issue(call, **what):
    try:
        call(what)
    except ErrorException as error:
        return error.details[0].issue
    raise AssertionError("no error")


def event(kind):
    """The next webhook, verified by hand: the SDK has no verification of its own."""
    headers, body = shop.next()
    with urllib.request.urlopen(headers["PAYPAL-CERT-URL"], timeout=20) as answer:
        certificate = x509.load_pem_x509_certificate(answer.read())
    text = "|".join([headers["PAYPAL-TRANSMISSION-ID"], headers["PAYPAL-TRANSMISSION-TIME"],
                     keys["webhook_id"], str(zlib.crc32(body))])
    certificate.public_key().verify(
        base64.b64decode(headers["PAYPAL-TRANSMISSION-SIG"]), text.encode(), PKCS1v15(), SHA256())
    assert ('"event_type":"%s"' % kind).encode() in body, (kind, body)


def order(number, invoice, request_id):
    return client.orders.create_order({
        "paypal_request_id": request_id,
        "prefer": WHOLE,
        "body": {
            "intent": "CAPTURE",
            "purchase_units": [{
                "amount": {"currency_code": "USD", "value": "10.00"},
                "custom_id": number, "invoice_id": invoice,
            }],
            "payment_source": {"paypal": {"experience_context": {
                "return_url": "https://shop.example/back",
                "cancel_url": "https://shop.example/cart",
            }}},
        },
    })


# An order, once for each id.
made = order("P1", "I1", "c1")
same((made.status_code, made.body.status), (201, "PAYER_ACTION_REQUIRED"))
again = order("P1", "I1", "c1")
same((again.status_code, again.body.id), (200, made.body.id))
same(issue(client.orders.capture_order, id=made.body.id), "ORDER_NOT_APPROVED")

# The payer approves, and nothing moves until the capture.
link = [link.href for link in made.body.links if link.rel == "payer-action"][0]
same(shopper(code=link)["provider_status"], "APPROVED")
event("CHECKOUT.ORDER.APPROVED")
same(client.orders.get_order({"id": made.body.id}).body.status, "APPROVED")
taken = client.orders.capture_order(
    {"id": made.body.id, "paypal_request_id": "k1", "prefer": WHOLE})
capture = taken.body.purchase_units[0].payments.captures[0]
same((taken.status_code, capture.status, capture.amount.value), (201, "COMPLETED", "10.00"))
event("PAYMENT.CAPTURE.COMPLETED")
repeat = client.orders.capture_order(
    {"id": made.body.id, "paypal_request_id": "k1", "prefer": WHOLE})
same(repeat.body.purchase_units[0].payments.captures[0].id, capture.id)
same(issue(client.orders.capture_order, id=made.body.id), "ORDER_ALREADY_CAPTURED")

# A second order of the same invoice is not captured.
second = order("P2", "I1", "c2")
shopper(provider="paypal", order_no="P2")
event("CHECKOUT.ORDER.APPROVED")
same(issue(client.orders.capture_order, id=second.body.id), "DUPLICATE_INVOICE_ID")

# Refunds, in two parts and no more.
part = client.payments.refund_captured_payment({
    "capture_id": capture.id, "paypal_request_id": "r1", "prefer": WHOLE,
    "body": {"amount": {"currency_code": "USD", "value": "4.00"}, "invoice_id": "R1"},
})
same((part.status_code, part.body.amount.value), (201, "4.00"))
event("PAYMENT.CAPTURE.REFUNDED")
rest = client.payments.refund_captured_payment(
    {"capture_id": capture.id, "paypal_request_id": "r2", "prefer": WHOLE})
same(rest.body.amount.value, "6.00")
same(issue(client.payments.refund_captured_payment, capture_id=capture.id),
     "CAPTURE_FULLY_REFUNDED")
same(client.payments.get_refund({"refund_id": part.body.id}).body.status, "COMPLETED")
same(client.payments.get_captured_payment({"capture_id": capture.id}).body.status, "REFUNDED")
same(issue(client.orders.get_order, id="5O190127TN364715T"), "INVALID_RESOURCE_ID")

# A wrong secret gets no token.
try:
    connect("wrong").orders.get_order({"id": made.body.id})
    raise AssertionError("a wrong secret was accepted")
except Exception as error:
    assert "OAuth" in type(error).__name__ or "token" in str(error).lower(), repr(error)

print("all as expected")
