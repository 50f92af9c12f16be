"""The public status page and its feed."""

import json

from town import DESKTOP, PHONE, check, says, until


def summary(town, name="summary.json"):
    return json.loads(town.call("GET", town.gateway + "/api/v2/" + name)[2])


def the_status_page_tells_an_outage(town):
    """What customers notice is told, with its end, and nothing of the inside."""
    town.heal()
    until("all is well", lambda: summary(town)["status"]["indicator"] == "none", within=30)
    page = town.open(town.device("en-US", DESKTOP), town.gateway + "/status")
    says(page, "All ways to pay work")
    town.shot(page, "status-fine-en")
    town.break_alipay()

    def told():
        of_it = [i for i in summary(town)["incidents"] if i["name"].startswith("Alipay")]
        return of_it and of_it[0]["impact"] == "major" and of_it[0]
    # Cards go with it: the same provider carries both.
    incident = until("the feed tells it", told)
    alipay = [c for c in summary(town)["components"] if c["id"] == "alipay"][0]
    check(alipay["status"] == "major_outage", alipay)
    check(incident["name"] == "Alipay: unavailable" and incident["impact"] == "major", incident)
    for locale, lang, text in [("zh-CN", "zh", "部分支付方式异常"),
                               ("en-US", "en", "Some ways to pay do not work as usual")]:
        page = town.open(town.device(locale, PHONE), town.gateway + "/status")
        says(page, text)
        town.accessible(page, "the status page")
        town.shot(page, f"status-out-{lang}")
        check("alipay-main" not in page.content(), "no channel's name")
    town.heal()
    until("it is over", lambda: not summary(town)["incidents"])
    past = summary(town, "incidents.json")["incidents"]
    done = [i for i in past if i["id"] == incident["id"]]
    check(done and done[0]["status"] == "resolved" and done[0]["resolved_at"], past)


ALL = [the_status_page_tells_an_outage]
