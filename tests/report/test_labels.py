"""Labels that tell settings apart, as short as they can be."""

from macpo.report.labels import differing, flat, tell_apart


def settings(name: str, weighting: str = "macpo", **more: object) -> dict[str, object]:
    return {"algorithm.name": name, "weighting.name": weighting, **more}


def labels(*each: dict[str, object]) -> list[str]:
    return tell_apart(each, ["algorithm.name", "weighting.name"])


def test_names_are_enough_where_they_differ() -> None:
    different = settings("qmix", lr=0.1), settings("vdn", lr=0.2)
    assert labels(*different) == ["qmix · macpo", "vdn · macpo"]


def test_what_tells_more_methods_apart_comes_first() -> None:
    first = settings("qmix", **{"a.clip": 0, "a.lr": 0.1})
    second = settings("qmix", **{"a.clip": 1, "a.lr": 0.2})
    third = settings("qmix", **{"a.clip": 1, "a.lr": 0.3})
    assert labels(first, second, third) == [f"qmix · macpo, lr=0.{i}" for i in (1, 2, 3)]


def test_settings_are_added_only_to_labels_that_are_alike() -> None:
    found = labels(settings("qmix", lr=1), settings("qmix", lr=2), settings("vdn", lr=3))
    assert found == ["qmix · macpo, lr=1", "qmix · macpo, lr=2", "vdn · macpo"]


def test_a_setting_that_only_one_has_tells_it_apart() -> None:
    assert labels(settings("q"), settings("q", n=3)) == ["q · macpo, n=null", "q · macpo, n=3"]


def test_equal_settings_have_equal_labels() -> None:
    assert labels(settings("qmix"), settings("qmix")) == ["qmix · macpo"] * 2


def test_lists_are_compared_as_a_whole() -> None:
    assert differing([{"clamp": [0, 1]}, {"clamp": [0, 1]}]) == []
    assert differing([{"clamp": [0, 1]}, {"clamp": [0, 2]}]) == ["clamp"]


def test_only_the_named_sections_are_flattened() -> None:
    experiment = {"env": {"name": "two-step"}, "run": {"seeds": 3}}
    assert flat(experiment, "run") == {"run.seeds": 3}
