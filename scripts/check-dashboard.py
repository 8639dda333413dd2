#!/usr/bin/env python3
"""Checks deploy/grafana/fastfeed.json, the alerts, and that docs/operations.md names what they use.

    scripts/check-dashboard.py          the files alone
    scripts/check-dashboard.py URL      and that a Prometheus which scrapes a service answers every query with data

Of an alert, whose whole point is to have none, each metric that it looks at must have data.
"""

import json
import pathlib
import re
import sys
import urllib.parse
import urllib.request

root = pathlib.Path(__file__).resolve().parent.parent
core_panels = {"row", "stat", "timeseries", "gauge", "bargauge", "table", "heatmap", "state-timeline", "text"}
columns = 24
problems = []


def wrong(what):
    problems.append(what)


def all_panels(panels):
    for panel in panels:
        yield panel
        yield from all_panels(panel.get("panels", []))


def check_place(panel, taken):
    place = panel["gridPos"]
    if place["x"] < 0 or place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > columns:
        wrong(f"panel '{panel['title']}' is not inside {columns} columns")
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            other = taken.setdefault((x, y), panel["title"])
            if other != panel["title"]:
                wrong(f"panels '{other}' and '{panel['title']}' overlap")
                return


def check_dashboard(board):
    """Returns its queries, each with the panel's title."""
    if "__inputs" in board or "__requires" in board:
        wrong("__inputs: such a dashboard cannot be provisioned")
    variables = {variable["name"]: variable["type"] for variable in board["templating"]["list"]}
    for name, kind in {"datasource": "datasource", "instance": "query", "flux": "query"}.items():
        if variables.get(name) != kind:
            wrong(f"no variable '{name}' of type {kind}")
    panels = list(all_panels(board["panels"]))
    for what in ("id", "title"):
        seen = [panel[what] for panel in panels]
        for value in {value for value in seen if seen.count(value) > 1}:
            wrong(f"{what} {value} is used twice")
    queries, taken = [], {}
    for panel in panels:
        check_place(panel, taken)
        if panel["type"] not in core_panels:
            wrong(f"panel '{panel['title']}' is of type {panel['type']}, which is not Grafana's own")
        if panel["type"] in ("row", "text"):
            continue
        if not panel.get("targets"):
            wrong(f"panel '{panel['title']}' asks for nothing")
        for source in [panel, *panel.get("targets", [])]:
            if source.get("datasource", {}).get("uid") != "${datasource}":
                wrong(f"panel '{panel['title']}' does not take the data source that was chosen")
        queries += [(panel["title"], target["expr"]) for target in panel.get("targets", [])]
    for name in set(re.findall(r"\$\{?(\w+)", " ".join(query for _, query in queries))):
        if name not in variables and not name.startswith("__"):
            wrong(f"a query names the variable {name}, which does not exist")
    return queries


def metrics_of(text):
    return set(re.findall(r"\b(?:feedd|process)_[a-z0-9_]+\b", text))


def check_documents(queries):
    document = (root / "docs/operations.md").read_text()
    rules = (root / "deploy/prometheus/feedd.rules.yml").read_text()
    tests = (root / "deploy/prometheus/feedd.rules.test.yml").read_text()
    listed = set(re.findall(r"^\| `([a-z0-9_]+)` \| (?:gauge|counter|histogram) \|", document, re.M))
    expressions = "\n".join([query for _, query in queries] + re.findall(r"^ *expr: (.*)$", rules, re.M))
    for name in sorted(metrics_of(re.sub(r"instance:\w+:\w+", "", expressions))):
        if name not in listed and re.sub(r"_(bucket|sum|count)$", "", name) not in listed:
            wrong(f"{name} is not in the table of docs/operations.md")
    alerts = re.findall(r"^ *- alert: (\w+)$", rules, re.M)
    for alert in alerts:
        if not re.search(rf"^### {alert}$", document, re.M):
            wrong(f"docs/operations.md has no section {alert}")
        if f"operations.md#{alert.lower()}\n" not in rules:
            wrong(f"the runbook of {alert} is not docs/operations.md#{alert.lower()}")
        if f'alertname="{alert}"' not in tests:
            wrong(f"{alert} has no test")
    for section in re.findall(r"^### (Feedd\w+)$", document, re.M):
        if section not in alerts:
            wrong(f"docs/operations.md has a section {section}, which is not an alert")


def get(url, path, **arguments):
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}", timeout=10) as answer:
        return json.load(answer)["data"]


def check_data(url, queries):
    values = {"instance": ".+", "flux": ".+", "__rate_interval": "30s"}

    def has_data(query):
        query = re.sub(r"\$\{?(\w+)\}?", lambda match: values.get(match[1], match[0]), query)
        try:
            found = get(url, "query", query=query)["result"]
            return any(each["value"][1] != "NaN" for each in found)
        except OSError as error:
            wrong(f"{query}: {error}")
            return True

    for target in get(url, "targets")["activeTargets"]:
        if target["health"] != "up":
            wrong(f"{target['scrapeUrl']}: {target['lastError']}")
    asked = len(queries)
    for title, query in queries:
        if not has_data(query):
            wrong(f"panel '{title}' has no data: {query}")
    for group in get(url, "rules")["groups"]:
        for rule in group["rules"]:
            if rule["health"] != "ok":
                wrong(f"rule {rule['name']}: {rule.get('lastError', rule['health'])}")
            parts = [rule["query"]]
            if rule["type"] == "alerting":
                parts = re.findall(r"\b[a-z_]+(?::[a-z0-9_]+)*(?:\{[^}]*\})?(?=[\[\s)]|$)", rule["query"])
                parts = [part for part in parts if re.match(r"(feedd|process|instance:|up\b)", part)]
            asked += len(parts)
            for part in parts:
                if not has_data(part):
                    wrong(f"rule {rule['name']} has no data: {part}")
    return asked


board = json.loads((root / "deploy/grafana/fastfeed.json").read_text())
queries = check_dashboard(board)
check_documents(queries)
said = f"{len(queries)} queries of {sum(1 for panel in all_panels(board['panels']) if panel['type'] != 'row')} panels"
if len(sys.argv) > 1:
    said = f"{check_data(sys.argv[1].rstrip('/'), queries)} queries, each with data"
for problem in problems:
    print(problem)
print(said if not problems else f"{len(problems)} problems")
sys.exit(1 if problems else 0)
