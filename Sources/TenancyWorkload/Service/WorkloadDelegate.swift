internal import Tenancy
public import TenancyRPC

/// Who calls the Workload API, and what the log is told. Thread-safe.
public struct WorkloadDelegate: ServerDelegate {
  private let terms: WorkloadTerms
  private let report: @Sendable (ServerEvent) -> Void

  /// - Parameter log: is told what operators may want to read.
  public init(_ terms: WorkloadTerms, log: @escaping @Sendable (ServerEvent) -> Void) {
    self.terms = terms
    report = log
  }

  public func connectionOpened(_ connection: Connection) -> WorkloadPeer? {
    WorkloadPeer(connection, terms)
  }

  public func account(of caller: WorkloadPeer) -> Int { Int(caller.userID) + 1 }

  public func name(of caller: WorkloadPeer) -> CallerName? {
    CallerName(subject: "uid:\(caller.userID)")
  }

  public func log(_ event: ServerEvent) { report(event) }
}
