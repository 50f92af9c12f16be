"""The operators' console."""

import datetime

from town import DESKTOP, PHONE, check, same, says, stays, until


def signed_in(town, locale="en-US", size=DESKTOP):
    page = town.open(town.device(locale, size, timezone_id="UTC"), town.gateway + "/console")
    page.fill("#name", "admin")
    page.fill("#password", town.config["console_password"])
    page.locator("button.go").click()
    page.locator("nav").first.wait_for()
    return page


def an_operator_finds_the_fault_and_takes_the_channel_out(town):
    """Signs in, sees the fault on the charts, disables until a given time, and an open checkout
    follows within a second."""
    town.fault("refuse", provider="wechatpay")
    for _ in range(12):
        town.pay_api(["wechat_pay"])
    page = signed_in(town)
    until("the charts are drawn", lambda: page.locator("canvas").count() >= 4)

    def failures():
        series = page.evaluate("fetch(document.querySelector('[data-series]').dataset.series)"
                               ".then((answer) => answer.json())")
        of_it = [c for c in series["channels"] if c["name"] == "wechat-main"]
        success = [share for share in of_it[0]["figures"]["success"] if share is not None] if of_it else []
        return success and min(success) < 0.5
    until("the fault is in what the charts draw", failures)
    says(page, "wechat-main")
    town.shot(page, "console-overview-en")
    town.accessible(page, "the overview")

    payment = town.pay_api(["alipay", "union_pay"])
    customer = town.open(town.device("zh-CN", PHONE), payment["checkout_url"])
    stays(customer)
    says(customer, "剩余时间")
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=30)
    for cell in ["alipay-main:", "stripe-main:alipay"]:
        page.goto(f"{town.gateway}/console/channels?cell={cell}")
        form = page.locator("form[action='/console/channels/disable']")
        form.locator("[name=for][value=at]").check()
        form.locator("[name=for_at]").fill(end.strftime("%Y-%m-%dT%H:%M"))
        form.locator("[name=reason]").fill("announced by the bank")
        form.locator("button").click()
        page.locator("p.note").wait_for()
        if form.locator("[name=sure]").count():
            # The last channel of a method asks once more, and has lost nothing that was typed.
            check(form.locator("[name=reason]").input_value() == "announced by the bank", "kept")
            form.locator("[name=sure]").check()
            form.locator("button").click()
            page.wait_for_url("**/console/channels*")
    says(customer, "支付宝暂时不可用", within=1)
    same(customer)
    town.shot(customer, "pay-operator-zh-phone")
    town.shot(page, "console-channels-en")
    lane = [c for c in town.api("GET", "/v1/channels")[1]["channels"] if c["id"] == "alipay-main"]
    until_then = lane[0]["methods"][0]["disabled"]["until"]
    check(until_then.startswith(end.strftime("%Y-%m-%dT%H:%M")), until_then)
    page.goto(town.gateway + "/console/audit")
    says(page, "announced by the bank")
    town.shot(page, "console-audit-en")
    for channel in ["alipay-main", "stripe-main"]:
        path = f"/v1/channels/{channel}/enable"
        town.api("POST", path, {"reason": "done"}, key="operator_key")
    phone = signed_in(town, "zh-CN", PHONE)
    width = phone.evaluate("document.documentElement.scrollWidth")
    check(width <= 390, f"nothing is wider than a phone: {width}")
    town.shot(phone, "console-overview-zh-phone")


ALL = [an_operator_finds_the_fault_and_takes_the_channel_out]
