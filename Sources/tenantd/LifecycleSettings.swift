import Logging
import Tenancy
import TenancyRPC
import TenancyServer

/// The configuration's `lifecycle`: how tenants end, and who has to approve that they are moved.
struct LifecycleSettings: Sendable {
  var terms = LifecycleTerms()
  /// Nil: nobody.
  private(set) var approval: Approval?

  /// Who is asked, and for what.
  struct Approval: Sendable {
    let events: Set<Lifecycle.Event>
    let timeout: Duration
    fileprivate let peer: PeerSettings
  }

  static let defaultTimeout = Duration.seconds(5)

  init() {}

  init(_ settings: inout SettingsReader) throws {
    if let days = try settings.integer("retention_days", in: 0...36_500) {
      terms.retention = .seconds(days * 86_400)
    }
    terms.purgesByItself = try settings.boolean("purge") ?? terms.purgesByItself
    approval = try settings.section("approval") { try Approval(&$0) }
  }

  /// - Throws: `ConfigurationError` when the approver's files can't be used.
  func approving(_ reloads: ReloadCounters, _ logger: Logger) throws -> Approving {
    try approval?.approving(reloads, logger) ?? Approving(approvals: .none, files: nil)
  }
}

/// Who is asked before tenants are moved.
struct Approving: Sendable {
  let approvals: TransitionApprovals
  /// What is read again of TLS to them.
  let files: PeerFiles?
}

extension LifecycleSettings.Approval {
  init(_ settings: inout SettingsReader) throws {
    let text = try settings.string("address")
    let tls = try settings.section("tls") { try PeerSettings.TLS(&$0) }
    peer = try PeerSettings(
      text, tls, "address", in: settings,
      local:
        "without lifecycle.approval.tls nobody vouches for who approves, so it must be on this host"
    )
    timeout =
      try settings.integer("timeout_milliseconds", in: 10...60_000).map { .milliseconds($0) }
      ?? LifecycleSettings.defaultTimeout
    let names = try settings.strings("transitions")
    events = Set(
      try names?.map { name in
        guard let event = TransitionApprovals.events.first(where: { $0.settingName == name }) else {
          throw settings.error(
            "transitions: \(name): one of "
              + TransitionApprovals.events.map(\.settingName).joined(separator: ", "))
        }
        return event
      } ?? TransitionApprovals.events)
  }

  /// - Throws: `ConfigurationError` when the files can't be used.
  fileprivate func approving(_ reloads: ReloadCounters, _ logger: Logger) throws -> Approving {
    let tls = try peer.context(for: "lifecycle.approval.tls")
    let approver = RemoteApprover(
      RPCChannel(peer.target, tls: tls), timeout: timeout, now: SystemClock.now)
    return Approving(
      approvals: TransitionApprovals(events, by: approver),
      files: tls.map { PeerFiles(tls: $0, part: .approver, reloads: reloads, logger: logger) })
  }
}

extension Lifecycle.Event {
  /// As the configuration calls it.
  fileprivate var settingName: String {
    switch self {
    case .beginMaintenance: "begin_maintenance"
    case .endMaintenance: "end_maintenance"
    default: rawValue
    }
  }
}
