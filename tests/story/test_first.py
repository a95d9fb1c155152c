from studio import Studio


def test_builds_all_and_then_has_nothing_to_do(studio: Studio) -> None:
    assert studio.doit() == 0
    assert [clip["success"] for clip in studio.clips()] == [True, True, True]
    before = studio.requests()
    assert studio.doit() == 0
    assert studio.requests() == before
    assert studio.booked() == (1.8, 0, 0)
    assert studio.charged() == 1.8
