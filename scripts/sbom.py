#!/usr/bin/env python3
"""The bill of materials of a built feedd, as CycloneDX 1.6: Swift packages, static libraries of the toolchain, shared libraries.

    scripts/sbom.py PROGRAM [--symbols UNSTRIPPED]     to the standard output; the same bytes from the same build
    scripts/sbom.py --check FILE                       against CycloneDX's schema; exit 3 without cyclonedx-python-lib

Run it where the program was built: what it names is what is there. Packages are those of Package.resolved; one whose code is not in the
program (tests and benchmarks need it) has the scope "excluded". Shared libraries are those that ldd names, and those that the program loads
when it needs them (scope "optional"), each as its Debian package. PROGRAM may be stripped, if UNSTRIPPED is the same before that.
Its date is SOURCE_DATE_EPOCH or the commit's.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import uuid
from urllib.parse import quote

ROOT = pathlib.Path(__file__).resolve().parent.parent


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def sha256(path):
    return [{"alg": "SHA-256", "content": hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()}]


def symbols(path, kinds):
    """Names that are defined in a program or an archive; kinds: the letters of nm."""
    command = ["nm", "--defined-only", "-f", "posix", path]
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    entries = (line.split(" ") for line in said.splitlines())
    return {entry[0] for entry in entries if len(entry) > 2 and entry[1] in kinds}


def swift_packages(defined):
    """Pins of Package.resolved, with their licences and whether they are in the program, from the build's checkouts."""
    pins = json.loads((ROOT / "Package.resolved").read_text())["pins"]
    modules = {module for module in map(module_of, defined) if module}
    for pin in sorted(pins, key=lambda pin: pin["identity"]):
        place = re.sub(r"^https://|\.git$", "", pin["location"])
        version, revision = pin["state"]["version"], pin["state"]["revision"]
        purl = "pkg:swift/%s@%s" % (place, version)
        component = {
            "type": "library", "bom-ref": purl, "name": pin["identity"], "version": version, "purl": purl,
            "externalReferences": [{"type": "vcs", "url": pin["location"]}],
            "properties": [{"name": "feedd:commit", "value": revision}],
        }
        checkout = ROOT / ".build/checkouts" / place.rsplit("/", 1)[-1]
        manifest = checkout / "Package.swift"
        if manifest.exists():
            # Not what it takes from other packages.
            targets = re.findall(r'(?<!\.product\()name:"(\w+)"', re.sub(r"\s", "", manifest.read_text()))
            component["scope"] = "required" if modules.intersection(targets) else "excluded"
        licence = next(iter(sorted(checkout.glob("LICENSE*"))), None)
        if licence and "Apache License" in licence.read_text(errors="replace"):
            component["licenses"] = [{"license": {"id": "Apache-2.0"}}]
        yield component


def module_of(name):
    """`$s7Logging6LoggerV…`: Logging."""
    found = re.match(r"\$s(\d+)", name)
    return name[found.end() :][: int(found.group(1))] if found else None


def toolchain(defined):
    """Swift, and those of its static libraries of which something is in the program."""
    info = json.loads(output("swiftc", "-print-target-info", "-static-stdlib"))
    version = re.search(r"swift-([\w.-]+?)(-RELEASE)?$", info["swiftCompilerTag"]).group(1)
    archives = sorted(pathlib.Path(info["paths"]["runtimeResourcePath"], "linux").glob("*.a"))
    # Weak ones are in whichever archive uses them.
    inside = {archive: symbols(archive, "TDBR") for archive in archives}
    parts = []
    for archive in archives:
        elsewhere = set().union(*(names for other, names in inside.items() if other != archive))
        if defined & (inside[archive] - elsewhere):
            parts.append({"type": "library", "bom-ref": "swift/" + archive.name, "name": archive.name, "version": version,
                          "hashes": sha256(archive)})
    purl = "pkg:swift/github.com/swiftlang/swift@" + version
    yield {"type": "platform", "bom-ref": purl, "name": "swift", "version": version, "purl": purl, "scope": "required",
           "description": info["compilerVersion"], "licenses": [{"license": {"id": "Apache-2.0"}}], "components": parts}


def linked(path):
    """Name → file, as ldd says."""
    return dict(re.findall(r"^\s*(\S+) => (/\S+)", output("ldd", path), flags=re.M)) | {
        pathlib.Path(found).name: found for found in re.findall(r"^\s*(/\S+) \(", output("ldd", path), flags=re.M)
    }


def cached():
    """Name → file, as the loader would find it."""
    found = {}
    machine = "x86-64" if os.uname().machine == "x86_64" else "AArch64"
    for name, path in re.findall(r"^\s*(\S+) \([^)]*%s[^)]*\) => (\S+)" % machine, output("/sbin/ldconfig", "-p"), flags=re.M):
        found.setdefault(name, path)
    return found


def owner(path):
    """The Debian package of a file, whose name may have been another before /lib became /usr/lib."""
    real = os.path.realpath(path)
    for name in {path, real, real.removeprefix("/usr"), "/usr" + path}:
        said = subprocess.run(["dpkg-query", "-S", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        if said:
            return said.split(": ")[0].split(",")[0]
    return None


def system():
    known = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', pathlib.Path("/etc/os-release").read_text(), flags=re.M))
    return known["ID"], known["ID"] + "-" + known.get("VERSION_ID", "testing")


def shared_libraries(program):
    required = linked(program)
    named = {name.decode() for name in re.findall(rb"lib[A-Za-z0-9_+-]+\.so(?:\.[0-9]+)+", pathlib.Path(program).read_bytes())}
    optional, places = {}, cached()
    for name in sorted(named - required.keys()):
        if name not in places:
            sys.exit("sbom.py: %s, which the program loads, is not installed here" % name)
        optional |= {name: places[name]} | linked(places[name])
    vendor, distribution = system()
    packages = {}
    for scope, files in (("required", required), ("optional", optional)):
        for path in files.values():
            packages.setdefault(owner(path), [scope, set()])[1].add(os.path.realpath(path))
    for package, (scope, files) in sorted(packages.items(), key=lambda entry: str(entry[0])):
        parts = [{"type": "file", "bom-ref": "file:" + path, "name": path, "hashes": sha256(path)} for path in sorted(files)]
        if package is None:  # Installed by hand.
            yield from (part | {"scope": scope} for part in parts)
            continue
        name, version, machine, source = output(
            "dpkg-query", "-W", "-f", "${Package}\t${Version}\t${Architecture}\t${source:Package} ${source:Version}", package).split("\t")
        purl = "pkg:deb/%s/%s@%s?arch=%s&distro=%s" % (vendor, quote(name), quote(version), machine, distribution)
        yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "scope": scope,
               "properties": [{"name": "feedd:source-package", "value": source}], "components": parts}


def bill(program, unstripped):
    defined = symbols(unstripped, "TDBRtdbrWVS")
    if not defined:
        sys.exit("sbom.py: %s is stripped; --symbols names the program before that" % unstripped)
    version = output(program, "--version").split()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or output("git", "-C", str(ROOT), "log", "-1", "--format=%ct"))
    itself = {
        "type": "application", "bom-ref": "feedd", "name": "feedd", "version": version[1], "hashes": sha256(program),
        "licenses": [{"license": {"id": "MIT"}}],
    }
    if len(version) > 2:
        itself["properties"] = [{"name": "feedd:commit", "value": version[2].strip("()")}]
    components = [*swift_packages(defined), *toolchain(defined), *shared_libraries(program)]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "scripts/sbom.py", "version": version[1]}]},
            "component": itself,
        },
        "components": components,
        "dependencies": [{"ref": "feedd", "dependsOn": [c["bom-ref"] for c in components if c.get("scope") != "excluded"]}],
    }
    content = json.dumps(document, sort_keys=True).encode()
    document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, hashlib.sha256(content).hexdigest()).urn
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def check(path):
    """The schema, and what a schema does not see."""
    text = pathlib.Path(path).read_text()
    document = json.loads(text)
    names = [c["name"] for c in document["components"]]
    files = [part["name"] for c in document["components"] for part in c.get("components", [])]
    for wanted in ("swift-argument-parser", "swift-log", "swift", "libc6"):
        assert wanted in names, wanted + " is not in it"
    for wanted in ("libswiftCore.a", "libmicrohttpd", "libcurl", "libhiredis", "libssl"):
        assert any(wanted in name for name in files), wanted + " is not in it"
    references = [c["bom-ref"] for c in document["components"]]
    assert len(set(references)) == len(references), "a component is named twice"
    try:
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError:
        print("the schema: skipped, cyclonedx-python-lib is not installed")
        sys.exit(3)
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault:
        sys.exit("%s: %s" % (path, fault))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--symbols")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        check(options.program)
    else:
        program = os.path.realpath(options.program)
        sys.stdout.write(bill(program, options.symbols or program))


main()
