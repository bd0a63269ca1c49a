import Foundation
import Tenancy
import TenancyClient
import TenancyCrypto
import TenancyRPC
import TenancyWire

/// What a file would make of a tenant's policy, and of which state that is true.
struct PolicyPlan: Presentable {
  /// `tenants/{tenant id}`.
  let tenant: String
  /// The state that it was made of, as the server names it.
  let basis: String
  let difference: PolicyDifference
  let steps: [PolicySteps.Step]
  /// What the file says.
  let digest: String

  func lines() -> [String] { difference.lines() }

  func json() -> JSONValue {
    guard case .object(var members) = difference.json() else { return difference.json() }
    members["tenant"] = .string(tenant)
    members["basis"] = .string(basis)
    return .object(members)
  }
}

extension PolicyPlan {
  /// Compares, and asks the server whether it would do it.
  /// - Throws: `RPCStatus`; `UsageError` where the caller would take a role from itself.
  init(_ wanted: PolicyFile, for name: String, _ connection: Connection) async throws {
    let start = try await connection.authorization.applyPolicy(
      V1.ApplyPolicyRequest(parent: name, validateOnly: true), options: connection.options)
    // What is read is of that state or a later one: if of a later one, the basis is refused.
    var options = connection.options
    options.require(consistencyToken: start.basis)
    let there = try await ServerPolicy(
      of: name, FleetSource(connection: Connection(channel: connection.channel, options: options)))
    let made = PolicySteps(from: there, to: wanted)
    let caller = try await connection.identity.whoAmI(
      V1.WhoAmIRequest(), options: connection.options)
    let own = FleetAssignment.portable(caller.subject, of: there.tenant)
    if let lost = made.losing.first(where: { $0.subject.hasSameBytes(as: own) }) {
      throw UsageError(
        "the caller would take the role '\(lost.role)' from itself: declare it for \(own), or let another apply this"
      )
    }
    let former = there.file
    // By groups as well.
    if former.letsApply(own), !wanted.letsApply(own) {
      throw UsageError(
        "the caller would take from itself what it needs to apply policies (tenancy.policies:apply): let another apply "
          + "this")
    }
    self.init(
      tenant: there.tenant.name, basis: start.basis,
      difference: PolicyDifference(from: former, to: wanted), steps: made.steps,
      digest: try Self.digest(of: wanted))
  }

  /// The same, refused by the server unless the policy is what it was then.
  func made(of basis: String) -> PolicyPlan {
    PolicyPlan(
      tenant: tenant, basis: basis, difference: difference, steps: steps, digest: digest)
  }

  /// The same for the same policy, whatever its tests and comments are.
  private static func digest(of policy: PolicyFile) throws -> String {
    var policy = policy.sorted
    policy.tests = []
    return SHA256Digest.bytes(Array(try PolicyWriter.text(policy).utf8))
      .map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  // MARK: Carrying out

  /// Changes in one request, where it may be several.
  private static let changesPerPart = 200
  /// Permissions, parents and the like of all roles in one request, of which a server reads 5,000.
  private static let maximumEntries = 4_500

  /// - Parameters:
  ///   - inParts: whether more than one transaction takes is made in several, one after the other.
  ///   - isTrial: whether nothing is to be kept.
  func carryOut(
    _ connection: Connection, inParts: Bool = false, isTrial: Bool = false
  ) async throws {
    guard !steps.isEmpty else { return }
    guard inParts || isTrial || isWithinOne else {
      throw UsageError(
        "nothing was changed: one transaction makes \(PolicyCommands.maximumChanges) changes at most, and fewer large "
          + "ones, and these are \(steps.count): --in-parts makes them in several, one after the other"
      )
    }
    var basis = basis
    let most = inParts && !isTrial ? Self.changesPerPart : PolicyCommands.maximumChanges
    for part in parts(of: most) {
      do {
        let request = V1.ApplyPolicyRequest(
          parent: tenant, changes: part.map(\.change), basis: basis, validateOnly: isTrial)
        basis = try await connection.authorization.applyPolicy(
          request, options: connection.options
        ).basis
      } catch let status as RPCStatus {
        throw Self.named(status, part)
      }
      // What comes behind it rests on it.
      if isTrial { break }
    }
  }

  /// Whether one transaction makes all of it.
  var isWithinOne: Bool { parts(of: PolicyCommands.maximumChanges).count <= 1 }

  /// In order, in as few requests as a server takes.
  private func parts(of most: Int) -> [[PolicySteps.Step]] {
    var parts: [[PolicySteps.Step]] = []
    var entries = 0
    for step in steps {
      let size = step.change.entryCount
      if let count = parts.last?.count, count < most, entries + size <= Self.maximumEntries {
        parts[parts.count - 1].append(step)  // In range: there is a last one.
        entries += size
      } else {
        parts.append([step])
        entries = size
      }
    }
    return parts
  }

  /// Says which change was refused by what it is about, and not by its number.
  private static func named(_ status: RPCStatus, _ steps: [PolicySteps.Step]) -> RPCStatus {
    guard let field = status.errorInfo?.metadata["field"], field.hasPrefix("changes["),
      let at = Int(field.dropFirst("changes[".count).dropLast()), steps.indices.contains(at)
    else { return status }
    let label = steps[at].label  // In range: it is asked above.
    var text = status.message
    if text.hasPrefix(field) { text = String(text.dropFirst(field.count)) }
    while let first = text.first, ".: ".contains(first) { text.removeFirst() }
    return RPCStatus(status.code, "\(label): \(text)", details: status.details)
  }
}

extension PolicyFile {
  /// Whether the policy lets a subject apply policies.
  fileprivate func letsApply(_ subject: String) -> Bool {
    let now = Timestamp(seconds: Int64(Date.now.timeIntervalSince1970), subsecondNanoseconds: 0)
    return draft.explain(subject: subject, permission: "tenancy.policies:apply", at: now)?
      .decision.allowingRole != nil
  }
}

extension V1.PolicyChange {
  /// Permissions, parents and the like that it has.
  fileprivate var entryCount: Int {
    guard case .putRole(let role)? = change else { return 1 }
    return 1 + role.permissions.count + role.deniedPermissions.count + role.parents.count
      + role.excludedRoles.count
  }
}

/// A plan that is kept until it is applied.
struct PolicyPlanFile: Codable, Equatable {
  static let kind = "PolicyPlan"
  private static let maximumBytes = 64 << 10

  var apiVersion = FleetReader.version
  var kind = Self.kind
  let tenant: String
  let basis: String
  let policy: String

  init(_ plan: PolicyPlan) {
    (tenant, basis, policy) = (plan.tenant, plan.basis, plan.digest)
  }

  /// - Throws: `InputFailure`.
  init(reading path: String) throws(InputFailure) {
    let bytes = try InputFile.bytes(path, atMost: Self.maximumBytes)
    guard let read = try? JSONDecoder().decode(Self.self, from: Data(bytes)),
      read.kind == Self.kind, read.apiVersion == FleetReader.version,
      // Without one nothing would be asked of what has changed since.
      ConsistencyToken(parsing: read.basis) != nil
    else {
      throw InputFailure(reason: "\(path) is not what 'policy plan --out' writes")
    }
    self = read
  }

  func write(to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let text = try encoder.encode(self) + Data("\n".utf8)
    do {
      try text.write(to: URL(filePath: path), options: .atomic)
    } catch {
      throw UsageError("cannot write \(path): \(error.localizedDescription)")
    }
  }

  /// - Throws: `UsageError` where it is not the plan of this.
  func check(_ plan: PolicyPlan) throws(UsageError) {
    guard tenant == plan.tenant else {
      throw UsageError("the plan is of \(tenant), and not of \(plan.tenant)")
    }
    guard policy == plan.digest else {
      throw UsageError("the file has changed since the plan was made: plan again")
    }
  }
}
