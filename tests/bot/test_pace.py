"""How long people wait from the secret to the approver, in virtual time: as long as the calls take, and little more."""

import pytest

from tests.support.paced import to_approval

SIZES = [(12, 3), (12, 1), (100, 3)]


@pytest.mark.once
@pytest.mark.parametrize(("models", "environments"), SIZES)
def test_the_way_from_the_secret_to_the_approver_takes_twice_as_long_as_its_calls_at_most(models, environments):
    course = to_approval(models, environments)
    waves = [course.of_wave(number) for number in range(2 * environments)]

    assert course.seconds <= 2 * course.limit
    assert [wave for wave in waves if wave.seconds > 2 * wave.limit] == []
    assert course.pauses < 0.1, "nobody waits for a pause where all is well"
