"""python-alipay-sdk (community) against the sandbox: only the address and the keys are set."""

import urllib.parse

from alipay import AliPay
from alipay.exceptions import AliPayValidationError

from common import BASE, CONFIG, Shop, control, get, same, shopper

keys = CONFIG["alipay"]
shop = Shop()
client = AliPay(
    appid=keys["app_id"],
    app_notify_url=shop.url,
    app_private_key_string=keys["app_private_key_pem"],
    alipay_public_key_string=keys["alipay_public_key_pem"],
)
client._gateway = BASE + "/gateway.do"

made = client.api_alipay_trade_precreate("subject", "C1", 12.5, notify_url=shop.url)
same(made["code"], "10000")
same(client.api_alipay_trade_query("C1")["sub_code"], "ACQ.TRADE_NOT_EXIST")
shopper(code=made["qr_code"])
same(client.api_alipay_trade_query("C1")["trade_status"], "TRADE_SUCCESS")

fields = dict(urllib.parse.parse_qsl(shop.next()[1].decode()))
sign = fields.pop("sign")
assert client.verify(dict(fields), sign)
assert not client.verify({**fields, "total_amount": "0.01"}, sign)

refund = client.api_alipay_trade_refund("2.50", out_trade_no="C1", out_request_no="CR1")
same(refund["refund_fee"], "2.50")
asked = client.api_alipay_trade_fastpay_refund_query("CR1", out_trade_no="C1")
same(asked["refund_amount"], "2.50")

# A signed link, and an app's order string, both followed by the buyer.
link = BASE + "/gateway.do?" + client.api_alipay_trade_page_pay("subject", "C2", "1.00")
assert "1.00" in get(link)
same(shopper(code=link)["paid"], True)
app = client.api_alipay_trade_app_pay("subject", "C3", "1.00")
same(shopper(code=app)["order_no"], "C3")
same(client.api_alipay_trade_cancel(out_trade_no="C3")["action"], "refund")
wap = BASE + "/gateway.do?" + client.api_alipay_trade_wap_pay("subject", "C4", "1.00")
shopper(code=wap, outcome="scan")
same(client.api_alipay_trade_close(out_trade_no="C4")["code"], "10000")

# The SDK notices a broken signature.
same(control("POST", "/sandbox/faults", {"id": "w", "match": {"provider": "alipay"},
                                         "fault": "wrong_signature"})[0], 201)
try:
    client.api_alipay_trade_query("C1")
except AliPayValidationError:
    pass
else:
    raise AssertionError("a broken signature went unnoticed")
same(control("DELETE", "/sandbox/faults/w")[0], 200)

print("python-alipay-sdk: all as expected")
