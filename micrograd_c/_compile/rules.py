"""The rules of nodes that programs alone have, and the relations that conditions test."""

from __future__ import annotations

from ..engine import bulk

_RULES = (
    *("MG_RULE_NONE", "MG_RULE_DETACH", "MG_RULE_DIVIDE", "MG_RULE_LINK"),
    *("MG_RULE_LESS", "MG_RULE_LESS_EQUAL", "MG_RULE_EQUAL", "MG_RULE_SELECT"),
)
NO_RULE, DETACH, DIVIDE, LINK, RULE_LESS, RULE_LESS_EQUAL, RULE_EQUAL, SELECT = map(
    bulk.enums.__getitem__, _RULES
)
TABLE, TAKE = map(bulk.enums.__getitem__, ("MG_RULE_TABLE", "MG_RULE_TAKE"))
LESS, LESS_EQUAL, EQUAL = map(bulk.enums.__getitem__, ("MG_LESS", "MG_LESS_EQUAL", "MG_EQUAL"))
