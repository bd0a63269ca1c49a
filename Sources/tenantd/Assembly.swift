import Tenancy
import TenancyCrypto
import TenancyRPC
import TenancyRPCServices
import TenancyServer
import TenancyStore

/// What the parts of the daemon work with.
struct Assembly: Sendable {
  let plane: ControlPlane
  /// Of a store in a file.
  let incarnation: String?
  let audit: AuditTrail
  let nodes: Nodes
  let terms: Provisioner.Terms
  let follower: LogFollower?
  let secrets: Secrets?
  let provisioner: Provisioner
  let meter: DataMeter
  let limiter: RequestLimiter?
  let approving: Approving
  /// Those of the listeners: of clients with certificates, and of others.
  let tls: [TLSContext]
  let authorities: AuthorityWatch
  /// Nil: no keys of token issuers are fetched.
  let keySets: KeySetFetching?
  let service: TenancyService
  let health: HealthStatus
  let observation: Observation
  let server: Server
  let workloadAPI: WorkloadAPI?
  let monitor: Monitor?
}
