"""alipay-sdk-python (official) against the sandbox: only the address and the keys are set."""

import json
import re
import socket
import urllib.parse

from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient
from alipay.aop.api.request.AlipayTradeCancelRequest import AlipayTradeCancelRequest
from alipay.aop.api.request.AlipayTradeCloseRequest import AlipayTradeCloseRequest
from alipay.aop.api.request.AlipayTradeFastpayRefundQueryRequest import (
    AlipayTradeFastpayRefundQueryRequest,
)
from alipay.aop.api.request.AlipayTradePagePayRequest import AlipayTradePagePayRequest
from alipay.aop.api.request.AlipayTradePrecreateRequest import AlipayTradePrecreateRequest
from alipay.aop.api.request.AlipayTradeQueryRequest import AlipayTradeQueryRequest
from alipay.aop.api.request.AlipayTradeRefundRequest import AlipayTradeRefundRequest
from alipay.aop.api.util.SignatureUtils import get_sign_content, verify_with_rsa
from cryptography.hazmat.primitives import serialization

from common import BASE, CONFIG, Shop, control, get, post_form, same, shopper

keys = CONFIG["alipay"]


def pkcs1(pem):
    """This SDK reads private keys in PKCS#1, without the PEM lines."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    return "".join(text.splitlines()[1:-1])


# This SDK fails on an address with a port (it adds a number to a text), so it is given an
# address without one, and the connection is led to the sandbox underneath it.
connect = socket.create_connection
sandbox = urllib.parse.urlsplit(BASE)


def led(address, *args, **more):
    if address == ("127.0.0.1", 80):
        address = (sandbox.hostname, sandbox.port)
    return connect(address, *args, **more)


socket.create_connection = led

config = AlipayClientConfig()
config.server_url = "http://127.0.0.1/gateway.do"
config.app_id = keys["app_id"]
config.app_private_key = pkcs1(keys["app_private_key_pem"])
config.alipay_public_key = "".join(keys["alipay_public_key_pem"].splitlines()[1:-1])
client = DefaultAlipayClient(config)
shop = Shop()


def call(kind, biz, notify=False):
    request = kind()
    request.biz_content = biz
    if notify:
        request.notify_url = shop.url
    return json.loads(client.execute(request))


def order(number, total="88.88", **more):
    biz = {"out_trade_no": number, "total_amount": total, "subject": "明前龙井 250g", **more}
    return call(AlipayTradePrecreateRequest, biz, notify=True)


def verified(body):
    """A notification as the SDK's own helpers verify it."""
    fields = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
    sign = fields.pop("sign")
    fields.pop("sign_type")
    fields = {name: value for name, value in fields.items() if value}
    text = get_sign_content(fields).encode()
    assert verify_with_rsa(config.alipay_public_key, text, sign)
    return fields


# Precreate: a code, but no trade until the buyer scans.
made = order("P1", passback_params="bank%3DICBC")
same(made["code"], "10000")
same(made["out_trade_no"], "P1")
assert made["qr_code"].startswith(BASE + "/pay/alipay/"), made
query = {"out_trade_no": "P1"}
for kind in (AlipayTradeQueryRequest, AlipayTradeCloseRequest):
    same(call(kind, query)["sub_code"], "ACQ.TRADE_NOT_EXIST", kind.__name__)
nothing = call(AlipayTradeCancelRequest, query)
same((nothing["code"], nothing.get("action")), ("10000", None), "cancel before the scan")

# The buyer opens the page, then pays on it.
page = get(made["qr_code"], "zh-CN,zh;q=0.9")
assert "明前龙井" in page and "88.88" in page and "付款" in page, page
same(call(AlipayTradeQueryRequest, query)["trade_status"], "WAIT_BUYER_PAY")
assert "Paid" in post_form(made["qr_code"], outcome="pay", bank="ICBC")
paid = call(AlipayTradeQueryRequest, query)
same(paid["trade_status"], "TRADE_SUCCESS")
same(paid["buyer_pay_amount"], "88.88")
by_trade_no = call(AlipayTradeQueryRequest, {"trade_no": paid["trade_no"]})
same(by_trade_no["out_trade_no"], "P1")
same(order("P1")["sub_code"], "ACQ.TRADE_HAS_SUCCESS")
same(call(AlipayTradeCloseRequest, query)["sub_code"], "ACQ.TRADE_STATUS_ERROR")

# The notification verifies, carries the account, and says the same.
told = verified(shop.next()[1])
same(told["trade_status"], "TRADE_SUCCESS")
same(told["total_amount"], "88.88")
same((told["app_id"], told["seller_id"]), (keys["app_id"], keys["seller_id"]))
same(told["passback_params"], "bank%3DICBC")

# Refunds: in parts, repeated, too much, and asked for again.
part = {"out_trade_no": "P1", "refund_amount": "30.00", "out_request_no": "R1"}
first = call(AlipayTradeRefundRequest, part)
same((first["fund_change"], first["refund_fee"]), ("Y", "30.00"))
again = call(AlipayTradeRefundRequest, part)
same((again["fund_change"], again["refund_fee"]), ("N", "30.00"))
same(call(AlipayTradeRefundRequest, {**part, "refund_amount": "31"})["sub_code"],
     "ACQ.DISCORDANT_REPEAT_REQUEST")
more = {"out_trade_no": "P1", "refund_amount": "58.89", "out_request_no": "R2"}
same(call(AlipayTradeRefundRequest, more)["sub_code"], "ACQ.REASON_TRADE_REFUND_FEE_ERR")
asked = {"out_trade_no": "P1", "out_request_no": "R1"}
same(call(AlipayTradeFastpayRefundQueryRequest, asked)["refund_status"], "REFUND_SUCCESS")
unknown = call(AlipayTradeFastpayRefundQueryRequest, {**asked, "out_request_no": "R9"})
same((unknown["code"], unknown.get("refund_status")), ("10000", None))
told = verified(shop.next()[1])
same((told["refund_fee"], told["out_biz_no"]), ("30.00", "R1"))
rest = call(AlipayTradeRefundRequest, {**more, "refund_amount": "58.88"})
same(rest["refund_fee"], "88.88")
same(call(AlipayTradeQueryRequest, query)["trade_status"], "TRADE_CLOSED")

# Close a scanned trade: dead for ever.
made = order("P2")
shopper(code=made["qr_code"], outcome="scan")
same(call(AlipayTradeCloseRequest, {"out_trade_no": "P2"})["code"], "10000")
same(call(AlipayTradeQueryRequest, {"out_trade_no": "P2"})["trade_status"], "TRADE_CLOSED")
same(control("POST", "/sandbox/pay", {"code": made["qr_code"]})[0], 409)
same(order("P2")["sub_code"], "ACQ.TRADE_HAS_CLOSE")

# Cancel: closes the unpaid, refunds the paid.
made = order("P3")
shopper(code=made["qr_code"], outcome="scan")
same(call(AlipayTradeCancelRequest, {"out_trade_no": "P3"})["action"], "close")
made = order("P4")
shopper(provider="alipay", order_no="P4")
cancelled = call(AlipayTradeCancelRequest, {"out_trade_no": "P4"})
same((cancelled["action"], cancelled["retry_flag"]), ("refund", "N"))

# Bad input keeps its code, and the answer stays signed.
same(order("P5", total="0.001")["sub_code"], "ACQ.INVALID_PARAMETER")
same(order("P 5")["sub_code"], "ACQ.INVALID_PARAMETER")
same(order("P6")["code"], "10000")
same(order("P6", total="1.00")["sub_code"], "ACQ.CONTEXT_INCONSISTENT")

# The page: as a link and as a form, both signed by the SDK and followed by the browser.
request = AlipayTradePagePayRequest()
request.biz_content = {"out_trade_no": "W1", "total_amount": "5.00", "subject": "tea",
                       "product_code": "FAST_INSTANT_TRADE_PAY"}
request.return_url = "http://127.0.0.1/thanks"
link = client.page_execute(request, http_method="GET")
page = get(link)
assert "5.00" in page and "/pay/alipay/" in page, page
same(call(AlipayTradeQueryRequest, {"out_trade_no": "W1"})["trade_status"], "WAIT_BUYER_PAY")
action = re.search(r'action="(/pay/alipay/[^"]+)"', page).group(1)
assert "http://127.0.0.1/thanks" in post_form(BASE + action, outcome="pay")
same(call(AlipayTradeQueryRequest, {"out_trade_no": "W1"})["trade_status"], "TRADE_SUCCESS")
assert "TRADE_HAS_SUCCESS" in get(link)

# A stranger's key is refused, unsigned.
config.app_private_key = pkcs1(CONFIG["wechatpay"]["merchant_private_key_pem"])
try:
    order("P7")
except Exception as error:  # the SDK raises its own ResponseException
    assert "isv.invalid-signature" in str(error), error
else:
    raise AssertionError("a stranger's signature was taken")

print("alipay-sdk-python: all as expected")
