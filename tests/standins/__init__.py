"""Stand-ins for Zenodo, CLMS and S3: real servers on loopback, real layouts, known values.

``truth`` says what every pixel holds, ``make_data`` writes it, the servers serve it, and
``demo_config`` is the SCS2 configuration that leads to them.
"""

from tests.standins import truth
from tests.standins.clms import ClmsServer, Product, scs2_products
from tests.standins.data import DEMO_BOX, SCS2_BOX, Data, expected, load_or_make, make_data, window
from tests.standins.demo import Endpoints, Servers, demo_config, serve
from tests.standins.s3 import BUCKET, GAMI_KEY, S3Server
from tests.standins.server import Fault, Logged, LoopbackServer, Request, Response
from tests.standins.zenodo import Record, ZenodoServer, canopy_map, disturbance_atlas

__all__ = [
    "BUCKET",
    "DEMO_BOX",
    "GAMI_KEY",
    "SCS2_BOX",
    "ClmsServer",
    "Data",
    "Endpoints",
    "Fault",
    "Logged",
    "LoopbackServer",
    "Product",
    "Record",
    "Request",
    "Response",
    "S3Server",
    "Servers",
    "ZenodoServer",
    "canopy_map",
    "demo_config",
    "disturbance_atlas",
    "expected",
    "load_or_make",
    "make_data",
    "scs2_products",
    "serve",
    "truth",
    "window",
]
