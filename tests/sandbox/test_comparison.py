"""The comparison from outside, in small: both figures, and what they have to be."""

import re

from tests.sandbox.programs import started, told

FIGURES = re.compile(r"^ +(by hand|by the bot) +([\d,]+) requests sent, ([\d,]+) failed", re.MULTILINE)
SMALL = ("--plain", "--models", "3", "--rate", "20", "--reading", "0.3")


async def test_a_wrong_secret_costs_callers_by_hand_and_not_by_the_bot():
    process = await started("-m", "sandbox.comparison", *SMALL)
    printed = await told(process)
    failed = {way: int(failed.replace(",", "")) for way, _sent, failed in FIGURES.findall(printed)}

    assert process.returncode == 0, printed
    assert failed["by hand"] > 0
    assert failed["by the bot"] == 0
    assert "✔ By the bot, none does." in printed
