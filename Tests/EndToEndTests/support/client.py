"""A gRPC client, and what it makes of errors."""

import time
from dataclasses import dataclass

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from . import api

# Streams that end when their client has enough.
ENDLESS = {"TenantManager/WatchTenants"}
IDENTITY = dict(request_serializer=lambda data: data, response_deserializer=lambda data: data)


class Client:
    """Stubs for all services on one channel, which no other client shares."""

    def __init__(self, target: str, credential=None, authorities: bytes | None = None):
        # Windows stay as they begin: tests count on what a connection takes that nobody reads from.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 1 << 26),
                   ("grpc.http2.bdp_probe", 0)]
        if credential is None and authorities is None:
            self.channel = grpc.insecure_channel(target, options)
        else:
            secrets = grpc.ssl_channel_credentials(
                authorities, credential and credential.key, credential and credential.certificate)
            self.channel = grpc.secure_channel(target, secrets, options)
        self.manager = api.manager_grpc.TenantManagerStub(self.channel)
        self.resolver = api.resolver_grpc.TenantResolverStub(self.channel)
        self.authz = api.authz_grpc.AuthorizationStub(self.channel)
        self.identity = api.identity_grpc.IdentityStub(self.channel)
        self.secrets = api.secrets_grpc.SecretsStub(self.channel)
        self.tokens = api.tokens_grpc.TokensStub(self.channel)
        self.audit = api.audit_grpc.AuditStub(self.channel)
        self.ext_authz = api.ext_authz_grpc.AuthorizationStub(self.channel)
        self.rate_limits = api.rls_grpc.RateLimitServiceStub(self.channel)
        self.authorities = api.authorities_grpc.CertificateAuthoritiesStub(self.channel)
        self.settings = api.settings_grpc.SettingDefinitionsStub(self.channel)
        self.plans = api.plans_grpc.PlansStub(self.channel)
        self.flags = api.flags_grpc.FeatureFlagsStub(self.channel)
        self.configurations = api.configurations_grpc.TenantConfigurationsStub(self.channel)
        self.domains = api.domains_grpc.TenantDomainsStub(self.channel)
        self.clusters = api.clusters_grpc.ClustersStub(self.channel)
        self.operations = api.operations_grpc.TenantOperationsStub(self.channel)
        self.data = api.data_grpc.TenantDataStub(self.channel)
        self.workloads = api.workloads_grpc.WorkloadEntriesStub(self.channel)

    def who(self, timeout: float = 10):
        return self.identity.WhoAmI(api.identity.WhoAmIRequest(), timeout=timeout)

    def raw(self, path: str, request: bytes, timeout: float = 20) -> bytes:
        """Sends bytes that no message class would let through."""
        return self.channel.unary_unary(path, **IDENTITY)(request, timeout=timeout)

    def call(self, method: str, request, timeout: float = 20):
        """Calls `Service/Method` and returns the response's bytes: of a stream, those of all messages, or of the first
        where it goes on without end."""
        path = f"/tenancy.v1.{method}"
        if method not in api.streams():
            return self.raw(path, request.SerializeToString(), timeout)
        stream = self.channel.unary_stream(path, **IDENTITY)(request.SerializeToString(), timeout=timeout)
        if method in ENDLESS:
            first = next(stream)
            stream.cancel()
            return first
        return b"".join(stream)

    def create(self, slug: str, isolation=api.SCHEMA, **fields) -> "api.tenant.Tenant":
        fields.setdefault("display_name", slug)
        sent = api.tenant.Tenant(slug=slug, isolation_model=isolation, **fields)
        return self.manager.CreateTenant(api.manager.CreateTenantRequest(tenant=sent), timeout=20)

    def get(self, name: str):
        return self.manager.GetTenant(api.manager.GetTenantRequest(name=name), timeout=20)

    def provision(self, name: str):
        return self.manager.ProvisionTenantResources(
            api.manager.ProvisionTenantResourcesRequest(name=name), timeout=20)

    def audit_cluster(self, name: str, repair: bool = False):
        return list(self.clusters.AuditCluster(
            api.clusters.AuditClusterRequest(name=name, repair=repair), timeout=60).findings)

    def data_access(self, name: str):
        return self.data.GetTenantDataAccess(
            api.data.GetTenantDataAccessRequest(name=name), timeout=20)

    def active(self, slug: str, isolation=api.SCHEMA, **fields):
        return self.provision(self.create(slug, isolation, **fields).name)

    def suspend(self, name: str):
        return self.manager.DeactivateTenant(
            api.manager.DeactivateTenantRequest(name=name), timeout=20)

    def delete(self, name: str):
        return self.manager.DeleteTenant(api.manager.DeleteTenantRequest(name=name), timeout=20)

    def undelete(self, name: str):
        return self.manager.UndeleteTenant(api.manager.UndeleteTenantRequest(name=name), timeout=20)

    def purge(self, name: str, early: bool = True):
        return self.manager.PurgeTenant(
            api.manager.PurgeTenantRequest(name=name, ignore_retention=early), timeout=20)

    def hold(self, name: str, reason: str = "a case"):
        return self.manager.PlaceTenantLegalHold(
            api.manager.PlaceTenantLegalHoldRequest(name=name, reason=reason), timeout=20)

    def release(self, name: str):
        return self.manager.ReleaseTenantLegalHold(
            api.manager.ReleaseTenantLegalHoldRequest(name=name), timeout=20)

    def maintain(self, name: str, seconds: float | None = None, reason: str = ""):
        """Takes a tenant out of service, for so many seconds as far as anybody knows."""
        request = api.manager.BeginTenantMaintenanceRequest(name=name, reason=reason)
        if seconds is not None:
            request.expected_end_time.FromNanoseconds(time.time_ns() + int(seconds * 1e9))
        return self.manager.BeginTenantMaintenance(request, timeout=20)

    def end_maintenance(self, name: str):
        return self.manager.EndTenantMaintenance(
            api.manager.EndTenantMaintenanceRequest(name=name), timeout=20)

    def schedule(self, name: str, **seconds: float):
        """Says in how many seconds from now transitions are due: `suspend`, `trial_end`, `delete`."""
        request = api.manager.SetTenantScheduleRequest(name=name)
        for kind, after in seconds.items():
            getattr(request.schedule, f"{kind}_time").FromNanoseconds(time.time_ns() + int(after * 1e9))
        return self.manager.SetTenantSchedule(request, timeout=20)

    def role(self, parent: str, role_id: str, *permissions: str, **fields):
        return self.authz.CreateRole(api.authz.CreateRoleRequest(
            parent=parent, role_id=role_id,
            role=api.authz.Role(permissions=permissions, **fields)), timeout=20)

    def assign(self, parent: str, subject: str, role: str, **fields):
        return self.authz.CreateRoleAssignment(api.authz.CreateRoleAssignmentRequest(
            parent=parent,
            assignment=api.authz.RoleAssignment(subject=subject, role=role, **fields)), timeout=20)

    def group(self, parent: str, group_id: str, **fields):
        return self.authz.CreateGroup(api.authz.CreateGroupRequest(
            parent=parent, group_id=group_id, group=api.authz.Group(**fields)), timeout=20)

    def join(self, parent: str, group: str, member: str, replace: bool = False, **fields):
        """Makes somebody a member of a group."""
        return self.authz.CreateGroupMember(api.authz.CreateGroupMemberRequest(
            parent=parent, replace=replace,
            group_member=api.authz.GroupMember(group=group, member=member, **fields)), timeout=20)

    def leave(self, name: str):
        return self.authz.DeleteGroupMember(api.authz.DeleteGroupMemberRequest(name=name), timeout=20)

    def register(self, tenant: str, path: str, lifetime: int | None = None, hint: str = "", **selectors):
        """Makes a registration entry."""
        entry = api.workloads.WorkloadEntry(
            tenant=tenant, path=path, hint=hint, selectors=api.workloads.WorkloadSelectors(**selectors))
        if lifetime is not None:
            entry.lifetime.FromSeconds(lifetime)
        return self.workloads.CreateWorkloadEntry(
            api.workloads.CreateWorkloadEntryRequest(entry=entry), timeout=20)

    def unregister(self, name: str):
        return self.workloads.DeleteWorkloadEntry(
            api.workloads.DeleteWorkloadEntryRequest(name=name), timeout=20)

    def claim(self, tenant: str, domain: str):
        return self.domains.ClaimTenantDomain(
            api.domains.ClaimTenantDomainRequest(parent=tenant, domain=domain), timeout=20)

    def verify(self, name: str, method=api.domains.DOMAIN_PROOF_METHOD_DNS, timeout: float = 20):
        return self.domains.VerifyTenantDomain(
            api.domains.VerifyTenantDomainRequest(name=name, method=method), timeout=timeout)

    def domain(self, name: str):
        return self.domains.GetTenantDomain(api.domains.GetTenantDomainRequest(name=name), timeout=20)

    def domains_of(self, tenant: str) -> list:
        return list(self.domains.ListTenantDomains(
            api.domains.ListTenantDomainsRequest(parent=tenant), timeout=20).domains)

    def release_domain(self, name: str):
        return self.domains.ReleaseTenantDomain(
            api.domains.ReleaseTenantDomainRequest(name=name), timeout=20)

    def prepare(self, propagation: int | None = None, **fields):
        """Makes a certificate authority."""
        request = api.authorities.PrepareCertificateAuthorityRequest(**fields)
        if propagation is not None:
            request.propagation.FromSeconds(propagation)
        return self.authorities.PrepareCertificateAuthority(request, timeout=20)

    def import_chain(self, name: str, chain: bytes, etag: str = ""):
        return self.authorities.ImportCertificateAuthority(
            api.authorities.ImportCertificateAuthorityRequest(
                name=name, certificate_chain=chain.decode(), etag=etag), timeout=20)

    def activate(self, name: str, force: bool = False, etag: str = ""):
        return self.authorities.ActivateCertificateAuthority(
            api.authorities.ActivateCertificateAuthorityRequest(name=name, force=force, etag=etag), timeout=20)

    def retire(self, name: str, force: bool = False, etag: str = ""):
        return self.authorities.RetireCertificateAuthority(
            api.authorities.RetireCertificateAuthorityRequest(name=name, force=force, etag=etag), timeout=20)

    def certificate_authorities(self) -> list:
        return list(self.authorities.ListCertificateAuthorities(
            api.authorities.ListCertificateAuthoritiesRequest(), timeout=20).authorities)

    def check(self, tenant: str, subject: str, permission: str):
        return self.authz.Check(api.authz.CheckRequest(
            tenant=tenant, subject=subject, permission=permission), timeout=20)

    def close(self) -> None:
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@dataclass(frozen=True)
class Failure:
    """Everything of an error that a client can see."""

    code: grpc.StatusCode
    message: str
    details: bytes

    @staticmethod
    def of(error: grpc.RpcError) -> "Failure":
        details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        failure = Failure(error.code(), error.details(), details)
        if details:  # The two tellings must agree.
            status = failure.status()
            assert (status.code, status.message) == (failure.code.value[0], failure.message)
        return failure

    def status(self) -> status_pb2.Status:
        return status_pb2.Status.FromString(self.details)

    def detail(self, kind):
        """The detail of a type of google.rpc, or None."""
        for packed in self.status().details:
            if packed.Is(kind.DESCRIPTOR):
                message = kind()
                packed.Unpack(message)
                return message
        return None

    @property
    def reason(self) -> str:
        info = self.detail(error_details_pb2.ErrorInfo)
        assert info.domain == "tenancy.v1"
        return info.reason

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self.detail(error_details_pb2.ErrorInfo).metadata)

    @property
    def fields(self) -> list[str]:
        """The fields that are found fault with."""
        request = self.detail(error_details_pb2.BadRequest)
        return [violation.field for violation in request.field_violations] if request else []

    @property
    def retry_seconds(self) -> float | None:
        info = self.detail(error_details_pb2.RetryInfo)
        return info.retry_delay.ToTimedelta().total_seconds() if info else None


def failure(code: str, function, *arguments, **named) -> Failure:
    """Calls, and returns the error, which must have this code."""
    with pytest.raises(grpc.RpcError) as caught:
        function(*arguments, **named)
    error = Failure.of(caught.value)
    assert error.code.name == code, error
    return error


def invalid(field: str, function, *arguments, **named) -> Failure:
    """Calls, and expects INVALID_ARGUMENT because of one field."""
    error = failure("INVALID_ARGUMENT", function, *arguments, **named)
    assert error.fields == [field], error
    return error
