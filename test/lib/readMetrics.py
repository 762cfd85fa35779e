"""Reads Prometheus's text format with Prometheus's own client library; prints each metric's name, type and samples as JSON."""
import json
import sys

from prometheus_client.parser import text_string_to_metric_families

print(json.dumps({
    family.name: {"type": family.type, "help": family.documentation, "samples": [[s.name, s.labels, s.value] for s in family.samples]}
    for family in text_string_to_metric_families(sys.stdin.read())
}))
