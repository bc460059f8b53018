"""Files that a data id matches, from listings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stacbuild.config.data_ids import joined
from stacbuild.errors import NotFoundError, StacbuildError
from stacbuild.sources.matching import Found, Listing, match, why_other_files


class Tree:
    """Folders in memory, and a count of how often they are listed."""

    def __init__(self, *paths: str, links: tuple[str, ...] = ()) -> None:
        self.paths, self.links, self.listed = paths, links, 0

    def listing(self) -> Listing:
        return Listing("store", self._folder)

    def _folder(self, folder: str) -> Iterator[Found]:
        self.listed += 1
        names: dict[str, bool] = {}
        for path in (*self.paths, *self.links):
            below = path.removeprefix(f"{folder}/") if folder else path
            if folder and below == path:
                continue
            first, *rest = below.split("/")
            names[first] = names.get(first, False) or bool(rest) or path in self.links
        for name, is_folder in names.items():
            path = f"{folder}/{name}".strip("/")
            yield Found(path, is_folder, path in self.links)


def paths(data_id: str | list[str], tree: Tree) -> list[str]:
    return [file.path for file in match(str(joined(data_id)), tree.listing()).files]


def test_a_list_comes_first_as_written_then_patterns_by_name() -> None:
    tree = Tree("b.tif", "a.tif", "c.tif")
    assert paths("*.tif", tree) == ["a.tif", "b.tif", "c.tif"]
    assert paths(["c.tif", "*.tif"], tree) == ["c.tif", "a.tif", "b.tif"]
    assert paths(["b.tif", "a.tif"], tree) == ["b.tif", "a.tif"]


def test_only_folders_that_can_match_are_listed_once() -> None:
    tree = Tree(*(f"y{year}/m{month}/x.tif" for year in range(9) for month in range(9)))
    assert paths("y3/m*/x.tif", tree) == [f"y3/m{month}/x.tif" for month in range(9)]
    assert tree.listed <= 12


def test_a_thousand_files_of_a_list_are_found_in_one_listing() -> None:
    names = [f"x_{number}.tif" for number in range(1000)]
    tree = Tree(*names)
    assert paths(names, tree) == names
    assert tree.listed == 1


def test_zarr_groups_match_but_nothing_within_them() -> None:
    tree = Tree("a.zarr/zarr.json", "a.zarr/x.tif", "b/c.zarr/.zgroup", "plain/x.txt")
    assert paths("**/*.zarr", tree) == ["a.zarr", "b/c.zarr"]
    with pytest.raises(NotFoundError):
        paths("**/*.tif", tree)


def test_links_to_folders_are_not_followed_by_any_depth() -> None:
    tree = Tree("a.tif", links=("loop",))
    matched = match("**/*.tif", tree.listing())
    assert [file.path for file in matched.files] == ["a.tif"]
    assert "loop: left out" in matched.notes[0]


def test_sidecars_are_not_data() -> None:
    assert paths("dem*", Tree("dem.tif", "dem.tif.aux.xml", "dem.tfw", "dem/x.tif")) == ["dem.tif"]


def test_several_wildcards_of_any_depth_match_a_file_once() -> None:
    assert paths("**/a/**/x.tif", Tree("a/a/a/x.tif")) == ["a/a/a/x.tif"]


def test_too_many_folders_are_refused() -> None:
    tree = Tree(*(f"d{number}/x.tif" for number in range(2001)))
    with pytest.raises(StacbuildError, match="more than 2000 folders"):
        paths("*/x.tif", tree)


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (["a.tif", "b.tif"], ""),
        (["b.tif", "a.tif"], ""),
        (["a.tif"], "b.tif added"),
        (["a.tif", "b.tif", "c.tif"], "c.tif removed"),
        (["a.tif", "x.tif"], "b.tif added and x.tif removed"),
    ],
)
def test_why_it_matches_other_files(known: list[str], why: str) -> None:
    tree = Tree("a.tif", "b.tif")
    assert why_other_files("*.tif", tree.listing(), dict.fromkeys(known, "")) == why


def test_files_whose_version_in_the_listing_is_another_one() -> None:
    def listing() -> Listing:
        return Listing(
            "s", lambda _: [Found("a.nc", False, version="ETag 2"), Found("b.nc", False)]
        )

    known = {"a.nc/g": "ETag 1", "b.nc/g": "ETag 1"}
    assert why_other_files("*.nc/g", listing(), known) == "a.nc/g changed"
    known = {"a.nc/g": "ETag 2", "b.nc/g": ""}
    assert why_other_files("*.nc/g", listing(), known) == ""


def test_a_pattern_of_files_goes_on_into_a_group() -> None:
    tree = Tree("a.nc", "b.nc", "c.tif", "2020/d_01.nc", "e.nc/f.tif")
    assert paths("*.nc/x/y", tree) == ["a.nc/x/y", "b.nc/x/y"]
    assert paths("**/d_{time:%y}.nc/x", tree) == ["2020/d_01.nc/x"]
    assert paths(["b.nc/x", "a.nc/y"], tree) == ["b.nc/x", "a.nc/y"]
    assert paths("*.nc/f.tif", tree)[-1] == "e.nc/f.tif"  # a folder with such a name
    with pytest.raises(NotFoundError, match=r"there is no d\.nc/x, named in the list"):
        paths(["a.nc/x", "d.nc/x"], tree)
    with pytest.raises(NotFoundError, match="matches no file"):
        paths("*.tif/x", tree)
