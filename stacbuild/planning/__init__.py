"""From a configuration and the catalog to jobs: what is to be built, and why."""

from stacbuild.planning.planner import CubePlan, plan

__all__ = ["CubePlan", "plan"]
