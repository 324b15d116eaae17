"""Stores a specification with the API it describes, or removes it; on the writer's thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.analysis.inventory import name_of
from server.analysis.specs.document.servers import hosts
from server.ingest.accept import Acceptor
from server.services.errors import NoTarget, UnknownApi
from server.specification import LoadedSpecification
from server.store.unit import Unit
from server.store.values import WORKLOAD_PREFIX, RoutedWorkload, Upload


@dataclass(frozen=True, slots=True)
class AttachTarget:
    """The API that a specification describes, by id or host. `otherwise` is the host if neither this nor the
    document names one. A host is that of the workload to which Ingresses and HTTPRoutes lead it with the
    document's base path. `cluster` is that of the host or workload; None means any. `replace` removes all
    others. `unless_same` keeps a stored one in its place that is the same document.
    """

    api: str | None = None
    host: str | None = None
    workload: str | None = None
    otherwise: str | None = None
    replace: bool = False
    unless_same: bool = False
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Attached:
    api: str
    spec: str
    number: int  # of the API
    is_new: bool = True


def attach(
    unit: Unit,
    acceptor: Acceptor,
    upload: Upload,
    specification: LoadedSpecification,
    target: AttachTarget,
    now: int,
) -> Attached:
    """Stores a specification with its API, which is validated by it from now on.

    Raises UnknownApi and NoTarget.
    """
    api = _target(unit, specification, target)
    place = (upload.host, set(specification.base_paths))
    olds = [
        old
        for old in acceptor.catalogue.draft.of_api(api)
        if target.replace or (old.stored.host, set(old.specification.base_paths)) == place
    ]
    if target.unless_same:
        for old in olds:
            if old.specification.document == specification.document:
                return Attached(unit.apis.id_of(api), old.stored.id, api, is_new=False)
    acceptor.begin_judging(api)
    unit.specs.remove([old.stored for old in olds])
    stored = unit.specs.add(
        api, upload, specification.title, specification.version, specification.warnings, now
    )
    acceptor.catalogue.add(stored, specification)
    return Attached(unit.apis.id_of(api), stored.id, api)


def detach(unit: Unit, acceptor: Acceptor, id: str) -> int | None:
    """Removes a specification. Returns the number of its API, whose stored exchanges must be re-validated;
    None if there is no such id.
    """
    known = unit.specs.find(id)
    if known is None:
        return None
    acceptor.begin_judging(known.api)
    unit.specs.remove([known])
    acceptor.catalogue.reread()
    return known.api


def _target(unit: Unit, specification: LoadedSpecification, target: AttachTarget) -> int:
    if target.api is not None:
        number = unit.apis.number_of(target.api)
        if number is None:
            raise UnknownApi
        return number
    names = [target.host.lower()] if target.host else []
    if target.workload:
        namespace, _, workload = target.workload.rpartition("/")
        names.append(f"{WORKLOAD_PREFIX}{namespace}/{workload}")
    names = names or hosts(specification.document) or ([target.otherwise] if target.otherwise else [])
    if not names:
        raise NoTarget("the document's servers name no host: give host, workload or api")
    routed = None if target.workload else _routed(unit, names, specification.base_paths, target.cluster)
    if routed is not None:
        name = f"{WORKLOAD_PREFIX}{routed.namespace}/{routed.workload}"
        return unit.apis.declare([name], specification.title, routed.cluster)
    return unit.apis.declare(names, specification.title, target.cluster)


def _routed(
    unit: Unit, names: Sequence[str], base_paths: Sequence[str], cluster: str | None
) -> RoutedWorkload | None:
    """The one workload to which Ingresses and HTTPRoutes lead these hosts with these base paths."""
    found = {
        unit.routes.leading(name_of(name), base, cluster) for name in names for base in base_paths or ("/",)
    }
    return next(iter(found)) if len(found) == 1 else None
