import Logging
import Tenancy
import TenancyRPC
import TenancyServer

/// Has this node use the store's certificate authorities as they are by now: its listeners trust those that bundles
/// have, and its Workload API signs by the one that is active. Thread-safe.
final class AuthorityWatch: Sendable {
  /// Between looks at the clock, and at the files of the Workload API.
  private static let interval = Duration.seconds(5)
  private let plane: ControlPlane
  private let api: WorkloadAPI?
  private let tls: [TLSContext]
  private let service: TenancyService
  private let logger: Logger
  /// What the TLS contexts have been made with.
  private let trusted: Trust
  private let wakes = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

  /// What listeners know besides what is in files.
  struct Trust: Equatable {
    let added: [AddedAuthority]
    /// Those retired by force, in PEM.
    let refused: [String]
  }

  /// - Parameter trusted: what the TLS contexts have been made with, or before that.
  init(
    _ plane: ControlPlane, _ api: WorkloadAPI?, _ tls: [TLSContext],
    trusting trusted: Trust,
    _ service: TenancyService, _ logger: Logger
  ) {
    self.plane = plane
    self.api = api
    self.tls = tls
    self.trusted = trusted
    self.service = service
    self.logger = logger
  }

  /// What listeners trust, and refuse, by now besides what is in files.
  static func trusted(by plane: ControlPlane) -> Trust {
    let authorities = plane.state.authorities
    return Trust(
      added: authorities.trusted(.x509, at: plane.now).map {
        AddedAuthority(domain: $0.trustDomain, certificate: $0.chain)
      },
      // No key of tokens is ever among them.
      refused: authorities.revoked.map(\.chain))
  }

  /// Has it looked at all soon.
  func wake() { wakes.continuation.yield() }

  /// Follows the log, the clock and files until it is cancelled. To be called once.
  func run() async {
    await withTaskGroup { group in
      group.addTask { await self.follow() }
      group.addTask {
        while !Task.isCancelled {
          do { try await Task.sleep(for: Self.interval) } catch { return }
          self.wake()
        }
      }
      group.addTask { await self.refresh() }
      _ = await group.next()
      group.cancelAll()
    }
  }

  private func refresh() async {
    var (trusted, told) = (trusted, false)
    for await _ in wakes.stream {
      await sweep()
      let now = Self.trusted(by: plane)
      if now != trusted, reload() { trusted = now }
      told = await api?.refresh(tellingAgain: !told) ?? false
    }
  }

  private func reload() -> Bool {
    var isComplete = true
    for context in tls {
      do throws(TLSError) {
        // Whatever has become of files: those that were read last stay.
        try context.reloadAddedAuthorities()
      } catch {
        isComplete = false
        logger.error(
          "a listener does not trust the certificate authorities of now",
          metadata: ["error": "\(error)"])
      }
    }
    service.reviewStreams()
    guard isComplete else { return false }
    if !tls.isEmpty { logger.notice("listeners trust the certificate authorities of now") }
    return true
  }

  /// Those whose time is over go, with their keys.
  private func sweep() async {
    do throws(TenancyError) {
      try await AuthorityCommands(plane, actor: "system", judge: .server).sweep()
    } catch {
      // Nobody trusts them any more, and the next look tries again.
      logger.debug("certificate authorities not swept", metadata: ["error": "\(error)"])
    }
  }

  private func follow() async {
    await LogWatch.follow(plane, where: \.isOfAuthorities) { wake() }
  }
}

extension Change {
  fileprivate var isOfAuthorities: Bool {
    switch self {
    case .putAuthority, .deleteAuthority: true
    case .putTenant, .putRole, .deleteRole, .putAssignment, .deleteAssignment, .putGroup,
      .deleteGroup, .putGroupMember, .deleteGroupMember,
      .putProvisioningStep, .clearProvisioningSteps, .reserveName, .retireSlug, .rememberRequest,
      .forgetRequests, .putSecret, .deleteSecret, .putDataKey, .putRevocation, .forgetRevocations,
      .putWorkloadEntry, .deleteWorkloadEntry, .putDomain, .deleteDomain, .putConfigurationItem,
      .deleteConfigurationItem, .putOperation, .deleteOperations:
      false
    }
  }
}
