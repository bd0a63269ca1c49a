"""The API as a foreign client sees it: stubs generated from `proto/` by grpcio-tools, for this run.

Nothing generated for the server is used, so that a mistake in it can't hide itself.
"""

import atexit
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).resolve().parents[3] / "proto"


def _generate() -> str:
    target = tempfile.mkdtemp(prefix="tenancy-stubs-")
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    well_known = resources.files("grpc_tools") / "_proto"
    names = sorted(str(path.relative_to(PROTO)) for folder in ("tenancy", "envoy")
                   for path in (PROTO / folder).rglob("*.proto"))
    arguments = ["protoc", f"-I{PROTO}", f"-I{well_known}", f"--python_out={target}",
                 f"--grpc_python_out={target}", *names]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc refused the API")
    # The package that carries Envoy's binary has the same name.
    (Path(target) / "envoy/__init__.py").touch()
    return target


sys.path.insert(0, _generate())

from envoy.extensions.common.ratelimit.v3 import ratelimit_pb2 as ratelimit  # noqa: E402
from envoy.service.ratelimit.v3 import (  # noqa: E402
    rls_pb2 as rls,
    rls_pb2_grpc as rls_grpc,
)
from envoy.type.v3 import ratelimit_unit_pb2 as ratelimit_unit  # noqa: E402
from envoy.service.auth.v3 import (  # noqa: E402
    attribute_context_pb2 as attribute_context,
    external_auth_pb2 as ext_authz,
    external_auth_pb2_grpc as ext_authz_grpc,
)
from tenancy.lifecycle.v1 import (  # noqa: E402
    transition_approvals_pb2 as approvals,
    transition_approvals_pb2_grpc as approvals_grpc,
)
from tenancy.v1 import (  # noqa: E402  (only now can they be found)
    authorization_pb2 as authz,
    authorization_pb2_grpc as authz_grpc,
    audit_pb2 as audit,
    audit_pb2_grpc as audit_grpc,
    certificate_authorities_pb2 as authorities,
    certificate_authorities_pb2_grpc as authorities_grpc,
    clusters_pb2 as clusters,
    clusters_pb2_grpc as clusters_grpc,
    feature_flags_pb2 as flags,
    feature_flags_pb2_grpc as flags_grpc,
    identity_pb2 as identity,
    identity_pb2_grpc as identity_grpc,
    operations_pb2 as operations,
    operations_pb2_grpc as operations_grpc,
    options_pb2 as options,
    plans_pb2 as plans,
    plans_pb2_grpc as plans_grpc,
    secrets_pb2 as secrets,
    setting_definitions_pb2 as settings,
    setting_definitions_pb2_grpc as settings_grpc,
    secrets_pb2_grpc as secrets_grpc,
    tenant_manager_pb2 as manager,
    tenant_manager_pb2_grpc as manager_grpc,
    tenant_configurations_pb2 as configurations,
    tenant_configurations_pb2_grpc as configurations_grpc,
    tenant_domains_pb2 as domains,
    tenant_domains_pb2_grpc as domains_grpc,
    tenant_data_pb2 as data,
    tenant_data_pb2_grpc as data_grpc,
    tenant_pb2 as tenant,
    tenant_resolver_pb2 as resolver,
    tenant_resolver_pb2_grpc as resolver_grpc,
    tokens_pb2 as tokens,
    tokens_pb2_grpc as tokens_grpc,
    workload_entries_pb2 as workloads,
    workload_entries_pb2_grpc as workloads_grpc,
)

__all__ = ["attribute_context", "ext_authz", "ext_authz_grpc", "ratelimit", "ratelimit_unit", "rls", "rls_grpc",
           "approvals", "approvals_grpc", "audit", "audit_grpc", "authz", "authz_grpc", "identity", "identity_grpc", "manager",
           "manager_grpc", "operations", "operations_grpc", "options", "resolver", "resolver_grpc", "secrets", "secrets_grpc", "settings", "settings_grpc", "tenant",
           "plans", "plans_grpc", "flags", "flags_grpc", "configurations", "configurations_grpc",
           "authorities", "authorities_grpc", "clusters", "clusters_grpc", "data", "data_grpc", "domains", "domains_grpc", "tokens", "tokens_grpc", "workloads", "workloads_grpc", "methods", "PENDING",
           "PROVISIONING", "ACTIVE", "SUSPENDED", "MAINTENANCE", "PROVISION_FAILED", "DELETED", "PURGING", "PURGED",
           "DATABASE", "SCHEMA", "SHARED", "HYBRID"]

PENDING = tenant.TENANT_STATE_PENDING
PROVISIONING = tenant.TENANT_STATE_PROVISIONING
ACTIVE = tenant.TENANT_STATE_ACTIVE
SUSPENDED = tenant.TENANT_STATE_SUSPENDED
MAINTENANCE = tenant.TENANT_STATE_MAINTENANCE
PROVISION_FAILED = tenant.TENANT_STATE_PROVISION_FAILED
DELETED = tenant.TENANT_STATE_DELETED
PURGING = tenant.TENANT_STATE_PURGING
PURGED = tenant.TENANT_STATE_PURGED
DATABASE = tenant.ISOLATION_MODEL_DATABASE
SCHEMA = tenant.ISOLATION_MODEL_SCHEMA
SHARED = tenant.ISOLATION_MODEL_SHARED
HYBRID = tenant.ISOLATION_MODEL_HYBRID


def methods() -> dict:
    """Every method of the API by `Service/Method`, from the descriptors."""
    files = (audit, authz, identity, manager, resolver, secrets, tokens, workloads,
             authorities, clusters, data, domains, settings, plans, flags, configurations, operations)
    return {
        f"{service.name}/{method.name}": method
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


def streams() -> set[str]:
    """Those whose responses are streams."""
    return {name for name, method in methods().items() if method.server_streaming}
