"""Customers in a real browser. Run by tests/it/browser.rs, which starts gateway and sandbox:

    python scenarios.py CONFIG.json PHASE [SCENARIO...]

Prints a line for each scenario and ends with 1 if one failed.
"""

import json
import pathlib
import sys
import time
import traceback

from playwright.sync_api import sync_playwright

import availability
import checkout
import console
import refused
import status

TODAY = [*checkout.TODAY, *refused.ALL, *availability.ALL, *status.ALL, *console.ALL]
PHASES = {"today": TODAY, "tomorrow": checkout.TOMORROW}


def main():
    config = json.loads(pathlib.Path(sys.argv[1]).read_text())
    wanted = sys.argv[3:]
    scenarios = [s for s in PHASES[sys.argv[2]] if not wanted or s.__name__ in wanted]
    failed = 0
    with sync_playwright() as playwright:
        from town import Town
        town = Town(config, playwright)
        for scenario in scenarios:
            failed += not passes(town, scenario)
        town.browser.close()
    sys.exit(1 if failed else 0)


def passes(town, scenario):
    began = time.monotonic()
    try:
        scenario(town)
        good, why = True, ""
    except Exception:
        good, why = False, traceback.format_exc()
        for context in town.browser.contexts:
            for page in context.pages:
                town.shot(page, f"failed-{scenario.__name__}")
                why += f"\n--- {page.url}\n{page.inner_text('body')}\n{getattr(page, 'complaints', '')}"
    for context in town.browser.contexts:
        context.close()
    if good:
        try:
            town.heal()
        except Exception as error:
            good, why = False, f"healing: {error}"
    took = time.monotonic() - began
    print(f"{'ok    ' if good else 'FAILED'} {scenario.__name__} ({took:.1f} s)", flush=True)
    if why:
        print(why, flush=True)
    return good


if __name__ == "__main__":
    main()
