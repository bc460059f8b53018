"""Where pixels hold no data, and values that the cube could not tell from it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stacbuild.errors import BuildError
from stacbuild.geo.validity import Layer, NoData, Overlay, avoid_fill, is_fill

MISSING = np.array([False, True, False])


def codes(*values: int) -> np.ndarray:
    return np.array(values, "uint8")


def test_a_chosen_value_may_not_be_one_of_a_pixel() -> None:
    chosen = NoData(255)
    with pytest.raises(BuildError, match=r"one\.tif: has pixels of the value 255"):
        chosen.check_free(codes(1, 255), [0], "one.tif")
    chosen.check_free(codes(1, 255), [255], "one.tif")
    chosen.check_free(codes(1, 255), [], "one.tif", np.array([False, True]))
    NoData(-1).check_free(codes(1, 255), [], "one.tif")
    NoData(255, reserved=False).check_free(codes(1, 255), [], "one.tif")


def test_a_value_that_only_lacks_digits_is_the_sources_own() -> None:
    lowest = np.finfo("float32").min
    NoData(float(lowest)).check_free(np.array([lowest]), [-3.402823e38], "one.tif")


def test_values_that_any_pixel_may_have() -> None:
    open_, undeclared = NoData(0, reserved=False), NoData(0, reserved=False, declared=False)
    assert open_.settle((codes(1, 0, 2), MISSING), "a").tolist() == [1, 0, 2]
    with pytest.raises(BuildError, match=r"a: has pixels of the value 0.*-32768 makes it int16"):
        open_.settle((codes(0, 0, 2), MISSING), "a")
    with pytest.raises(BuildError, match="a: has no pixels under a part of the grid"):
        undeclared.settle((codes(1, 0, 2), MISSING), "a")
    assert undeclared.settle((codes(0, 0, 2), MISSING & False), "a").tolist() == [0, 0, 2]
    assert NoData(0).settle((codes(0, 1), None), "a").tolist() == [0, 1]


def overlaid(layers: list[Layer], nodata: NoData) -> Overlay:
    overlay = Overlay((3,), nodata)  # type: ignore[arg-type]
    for layer in layers:
        overlay.add(layer)
    return overlay


def test_the_first_layer_with_data_is_on_top() -> None:
    found = overlaid([(codes(1, 0, 0), None), (codes(2, 2, 0), None)], NoData(0))
    assert found.layer is not None
    assert found.layer[0].tolist() == [1, 2, 0]
    assert found.is_open()
    # Values say nothing here; the second has none in the last pixel either.
    first = ~MISSING & [False, True, True]
    layers: list[Layer] = [(codes(0, 9, 9), first), (codes(5, 5, 5), MISSING)]
    found = overlaid(layers, NoData(0, reserved=False))
    assert found.layer is not None
    assert found.layer[0].tolist() == [0, 9, 5]
    assert found.layer[1] is not None
    assert found.layer[1].tolist() == [False, False, False]
    assert not found.is_open()
    assert first.tolist() == [False, False, True]  # that of an index map, which others use
    assert overlaid([], NoData(0)).layer is None


def test_a_layer_may_cover_a_part_of_the_window() -> None:
    overlay = Overlay((2, 3), NoData(0))
    left, right = (slice(0, 2), slice(0, 2)), (slice(0, 2), slice(1, 3))
    assert overlay.is_open(left)
    overlay.add((np.array([[1, 1], [1, 0]], np.uint8), None), left)
    assert not overlay.is_open((slice(0, 1), slice(0, 2)))
    assert overlay.is_open(right)
    overlay.add((np.full((2, 2), 2, np.uint8), None), right)
    assert not overlay.is_open()
    overlay.add((np.full((2, 2), 3, np.uint8), None), left)
    assert overlay.layer is not None
    assert overlay.layer[0].tolist() == [[1, 1, 2], [1, 2, 2]]


@pytest.mark.parametrize("declared", [True, False])
def test_a_part_without_a_layer_has_no_data_even_where_every_value_is_one(declared: bool) -> None:
    nodata = NoData(0, reserved=False, declared=declared)
    overlay = Overlay((2, 2), nodata)
    overlay.add((np.array([[0, 7]], np.uint8), np.array([[False, True]])), (slice(0, 1), slice(2)))
    assert overlay.layer is not None
    assert overlay.layer[1] is not None
    assert overlay.layer[1].tolist() == [[False, True], [True, True]]
    overlay.add((np.full((2, 2), 5, np.uint8), None))
    assert overlay.layer[0].tolist() == [[0, 5], [5, 5]]
    assert not overlay.is_open()


def test_a_result_is_never_no_data_by_chance() -> None:
    assert avoid_fill(codes(7, 0), 0).tolist() == [7, 1]
    assert avoid_fill(codes(7, 255), 255).tolist() == [7, 254]
    assert avoid_fill(np.array([7.0]), 7).tolist() == [7]
    assert is_fill(np.array([np.nan, 1]), np.nan).tolist() == [True, False]


def test_pixels_without_data_are_counted_and_not_searched_for_each_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted: list[int] = []
    count = np.count_nonzero

    def counting(values: NDArray[np.bool_]) -> int:
        counted.append(values.size)
        return int(count(values))

    monkeypatch.setattr(np, "count_nonzero", counting)
    overlay = Overlay((16, 16), NoData(0))
    for row in range(16):
        assert overlay.is_open()
        overlay.add((np.ones((1, 16), np.uint8), None), (slice(row, row + 1), slice(0, 16)))
    assert not overlay.is_open()
    # Once the whole window, when its first part comes, and then each part before and after.
    assert sum(counted) == 256 + 2 * 256
