"""wechatpayv3 against the sandbox, in both key modes: only the address and the keys are set."""

import json
import os
import tempfile
import time

from wechatpayv3 import WeChatPay, WeChatPayType

from common import BASE, CONFIG, Shop, control, same, shopper

keys = CONFIG["wechatpay"]
shop = Shop(ack=(204, b""))


def bare(pem):
    return "".join(pem.splitlines()[1:-1])


def client(**mode):
    one = WeChatPay(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=keys["mch_id"],
        private_key=bare(keys["merchant_private_key_pem"]),
        cert_serial_no=keys["merchant_serial"],
        appid=keys["app_id"],
        apiv3_key=keys["api_v3_key"],
        notify_url=shop.url,
        **mode,
    )
    one._core._gate_way = BASE
    return one


by_key = client(public_key=keys["public_key_pem"], public_key_id=keys["public_key_id"])

# The SDK downloads certificates while it is built, from an address that cannot be set before.
# So it finds one on disk first, and downloads the sandbox's own as soon as the address is set.
folder = tempfile.mkdtemp()
with open(os.path.join(folder, keys["platform_serial"] + ".pem"), "w") as file:
    file.write(keys["platform_certificate_pem"])
by_certificate = client(cert_dir=folder)
by_certificate._core._update_certificates()
same([format(c.serial_number, "X") for c in by_certificate._core._certificates],
     [keys["platform_serial"]], "downloaded certificates")


def trial(pay, prefix):
    def order(number, total=100, **more):
        status, text = pay.pay(description="明前龙井", out_trade_no=prefix + number,
                               amount={"total": total}, **more)
        return status, json.loads(text)

    def query(number):
        status, text = pay.query(out_trade_no=prefix + number)
        return status, json.loads(text)

    def code(answer):
        status, text = answer
        return status, json.loads(text)["code"]

    # A code, paid, and told.
    status, made = order("-0001", attach="bank=CMB")
    same(status, 200)
    assert made["code_url"].startswith("weixin://wxpay/bizpayurl?pr="), made
    same(query("-0001")[1]["trade_state"], "NOTPAY")
    status, newer = order("-0001", attach="bank=CMB")
    assert status == 200 and newer["code_url"] != made["code_url"]
    same(control("POST", "/sandbox/pay", {"code": made["code_url"]})[0], 409, "the old code")
    same(code(pay.pay(description="明前龙井", out_trade_no=prefix + "-0001", amount={"total": 101})),
         (403, "OUT_TRADE_NO_USED"))
    same(shopper(code=newer["code_url"], bank="CMB_DEBIT")["paid"], True)
    status, paid = query("-0001")
    same((status, paid["trade_state"], paid["bank_type"]), (200, "SUCCESS", "CMB_DEBIT"))
    status, text = pay.query(transaction_id=paid["transaction_id"])
    same(json.loads(text)["out_trade_no"], prefix + "-0001")
    told = pay.callback(*shop.next())
    same(told["event_type"], "TRANSACTION.SUCCESS")
    same(told["resource"]["out_trade_no"], prefix + "-0001")
    same(told["resource"]["amount"]["total"], 100)
    same(code(pay.close(prefix + "-0001")), (400, "ORDERPAID"))
    same(code(pay.pay(description="明前龙井", out_trade_no=prefix + "-0001", amount={"total": 100},
                      attach="bank=CMB")), (400, "ORDERPAID"))

    # A refund is accepted first, and arrives later.
    def refund(number, amount):
        return pay.refund(out_refund_no=number, out_trade_no=prefix + "-0001", reason="太苦",
                          amount={"refund": amount, "total": 100, "currency": "CNY"})

    same(code(pay.query_refund(prefix + "-r1")), (404, "RESOURCE_NOT_EXISTS"))
    status, text = refund(prefix + "-r1", 40)
    same((status, json.loads(text)["status"]), (200, "PROCESSING"))
    same(refund(prefix + "-r1", 40)[0], 200, "repeated")
    same(code(refund(prefix + "-r1", 41)), (400, "INVALID_REQUEST"))
    same(code(refund(prefix + "-r2", 61)), (400, "INVALID_REQUEST"))
    told = pay.callback(*shop.next())
    same((told["event_type"], told["resource"]["refund_status"]), ("REFUND.SUCCESS", "SUCCESS"))
    same(json.loads(pay.query_refund(prefix + "-r1")[1])["status"], "SUCCESS")
    same(query("-0001")[1]["trade_state"], "REFUND")

    # Closing: a stranger's number as well, and dead for ever.
    same(pay.close(prefix + "-nobody")[0], 204)
    order("-0002")
    same(pay.close(prefix + "-0002")[0], 204)
    same(pay.close(prefix + "-0002")[0], 204, "again")
    same(query("-0002")[1]["trade_state"], "CLOSED")
    same(order("-0002")[1]["code"], "ORDER_CLOSED")
    same(query("-nobody"), (404, {"code": "ORDER_NOT_EXIST", "message": "订单不存在"}))

    # The other products.
    def product(kind, number, **more):
        status, text = pay.pay(description="tea", out_trade_no=prefix + number,
                               amount={"total": 5}, pay_type=kind, **more)
        return status, json.loads(text)

    status, made = product(WeChatPayType.JSAPI, "-0003", payer={"openid": "oAbc"})
    same(shopper(code=made["prepay_id"])["order_no"], prefix + "-0003")
    same(json.loads(pay.query(out_trade_no=prefix + "-0003")[1])["payer"]["openid"], "oAbc")
    shop.next()
    scene = {"payer_client_ip": "127.0.0.1", "h5_info": {"type": "Wap"}}
    status, made = product(WeChatPayType.H5, "-0004", scene_info=scene)
    same(shopper(code=made["h5_url"], outcome="decline")["paid"], False)
    same(query("-0004")[1]["trade_state"], "NOTPAY", "a decline is invisible")
    same(product(WeChatPayType.APP, "-0005")[0], 200)
    nobody = product(WeChatPayType.JSAPI, "-0006", payer={"name": "nobody"})[1]
    same((nobody["code"], nobody["detail"]["field"]), ("PARAM_ERROR", "payer.openid"))
    same(order("-7", total=0)[1]["code"], "PARAM_ERROR")


trial(by_key, "pub")
trial(by_certificate, "crt")

# A merchant that answers an error is told again, with a signature of its own.
shop.acks = [(500, b'{"code":"FAIL","message":"later"}')]
made = json.loads(by_key.pay(description="tea", out_trade_no="again-1", amount={"total": 1})[1])
shopper(code=made["code_url"])
first, second = shop.next(), shop.next()
same(first[1], second[1], "the same notification")
assert first[0]["Wechatpay-Nonce"] != second[0]["Wechatpay-Nonce"]
assert by_key.callback(*second)

# Forged notifications and answers do not verify.
for forgery in ("wrong_key", "tampered"):
    control("POST", "/sandbox/faults", {"id": "f", "fault": {"kind": "forged_notification",
                                                           "forgery": forgery}})
    number = "forged-" + forgery[:5]
    made = json.loads(by_key.pay(description="tea", out_trade_no=number, amount={"total": 1})[1])
    shopper(code=made["code_url"])
    results = [by_key.callback(*shop.next()) for _ in range(2)]
    same(sorted(bool(result) for result in results), [False, True], forgery)
    control("DELETE", "/sandbox/faults/f")
for fault in ({"kind": "wrong_signature"}, {"kind": "wrong_signature", "probe": True}):
    control("POST", "/sandbox/faults", {"id": "s", "fault": fault})
    try:
        by_key.query(out_trade_no="again-1")
    except Exception as error:
        assert "verify" in str(error) or "Incorrect padding" in str(error) \
            or "base64" in str(error).lower(), error
    else:
        raise AssertionError("a broken signature went unnoticed")
    control("DELETE", "/sandbox/faults/s")

# An expired certificate is shown, and the SDK throws it away.
by_certificate.query(out_trade_no="again-1")
control("POST", "/sandbox/faults", {"id": "e", "match": {"provider": "wechatpay"},
                                    "fault": "expired_certificate"})
by_certificate._core._update_certificates()
same(by_certificate._core._certificates, [], "expired certificates")
control("DELETE", "/sandbox/faults/e")

# A stranger's signature is refused.
stranger = WeChatPay(
    wechatpay_type=WeChatPayType.NATIVE, mchid=keys["mch_id"], appid=keys["app_id"],
    private_key=bare(CONFIG["alipay"]["app_private_key_pem"]),
    cert_serial_no=keys["merchant_serial"], apiv3_key=keys["api_v3_key"], notify_url=shop.url,
    public_key=keys["public_key_pem"], public_key_id=keys["public_key_id"])
stranger._core._gate_way = BASE
status, text = stranger.query(out_trade_no="again-1")
same((status, json.loads(text)["code"]), (401, "SIGN_ERROR"))

print("wechatpayv3: all as expected")
