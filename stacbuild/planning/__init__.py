"""From a configuration and the catalog to jobs: what is to be built, and why."""

from stacbuild.planning.planner import CubePlan, plan, resolver_of

__all__ = ["CubePlan", "plan", "resolver_of"]
