import Tenancy
import TenancyTestSupport

/// Makes valid batches without end, and knows the state that they make.
struct RandomHistory {
  private(set) var state = StateModel()
  /// Bytes of padding in a tenant's settings, to make large commits.
  var padding = 0

  mutating func nextBatch(using random: inout SeededGenerator) -> [LogEntry] {
    (0..<Int.random(in: 1...5, using: &random)).map { _ in
      state.revision += 1
      let changes = (0..<Int.random(in: 0...4, using: &random)).map { _ in
        nextChange(using: &random)
      }
      let tenants = state.tenants.keys.sorted().prefix(Int.random(in: 0...3, using: &random))
      return LogEntry(
        revision: state.revision, time: Timestamp(nanoseconds: Int64(state.revision)),
        actor: "system", action: "test", tenants: Array(tenants), changes: changes)
    }
  }

  private mutating func nextChange(using random: inout SeededGenerator) -> Change {
    let number = UInt64.random(in: 0..<32, using: &random)
    let change = makeChange(number, using: &random)
    state.apply(change)
    return change
  }

  private func makeChange(_ number: UInt64, using random: inout SeededGenerator) -> Change {
    var tenant = state.tenants[Sample.id(number)] ?? Sample.tenant(number)
    let id = "x\(Int.random(in: 0..<4, using: &random))"
    guard state.tenants[tenant.id] != nil else { return .putTenant(tenant) }
    switch Int.random(in: 0..<25, using: &random) {
    case 20: return .putGroup(tenant.id, Sample.group(id))
    case 21: return .deleteGroup(tenant.id, id: id)
    case 22: return .putGroupMember(tenant.id, Sample.member(id))
    case 23: return .deleteGroupMember(tenant.id, id: id)
    case 0: return .putRole(tenant.id, Sample.role(id))
    case 1: return .deleteRole(tenant.id, id: id)
    case 2: return .putAssignment(tenant.id, Sample.assignment(id))
    case 3: return .deleteAssignment(tenant.id, id: id)
    case 4: return .putProvisioningStep(tenant.id, name: id)
    case 5: return .clearProvisioningSteps(tenant.id)
    case 6: return .reserveName(ReservedName(.slug, "\(id)-\(number)"), tenant.id)
    case 7:
      return .rememberRequest(
        RememberedRequest(
          payer: Bool.random(using: &random) ? tenant.id : nil, actor: "uid:0", requestID: id,
          digest: "d", tenant: Bool.random(using: &random) ? tenant.id : nil, resource: id,
          time: Timestamp(nanoseconds: Int64(state.revision))))
    case 8:
      return .forgetRequests(
        before: Timestamp(nanoseconds: Int64(state.revision) - 5),
        of: Bool.random(using: &random) ? tenant.id : nil)
    case 9:
      let targets: [Revocation.Target] = [.token(id), .subject(id), .tenant]
      return .putRevocation(
        tenant.id,
        Revocation(
          target: targets.randomElement(using: &random) ?? .tenant,
          before: Timestamp(nanoseconds: Int64(number)),
          expireTime: Timestamp(nanoseconds: Int64(state.revision)), reason: id))
    case 10:
      return .forgetRevocations(
        tenant.id, before: Timestamp(nanoseconds: Int64(state.revision) - 5))
    case 11:
      let keys = tenant.tokenKeys.suffix(TokenKey.maximumCount - 1)
      let reference = SecretReference(version: number, key: KeyID(high: number, low: 1))
      tenant.tokenKeys =
        Bool.random(using: &random)
        ? [ContractTokens.key(id.last ?? "x", reference, retired: number % 2 == 0)] + keys
        : Array(keys.dropLast())
      return .putTenant(tenant)
    case 12:
      return .putWorkloadEntry(
        ContractWorkloads.entry(
          number, tenant: number % 3 == 0 ? nil : tenant.id, path: id,
          WorkloadEntry.Selectors(userID: UInt32(number), binaryPath: "/bin/\(id)")))
    case 16:
      // A domain is one tenant's: each has its own.
      return .putDomain(
        ContractDomains.domain(
          "\(id).t\(number).net", of: tenant.id,
          by: [nil, .dns, .http].randomElement(using: &random) ?? nil))
    case 17: return .deleteDomain(tenant.id, name: "\(id).t\(number).net")
    case 14: return .deleteAuthority(id: Sample.id(number).description)
    case 15:
      let reference = SecretReference(version: number + 1, key: KeyID(high: number, low: 1))
      if number % 3 == 0 {
        return .putAuthority(ContractAuthorities.tokenKey(number, reference))
      }
      return .putAuthority(
        ContractAuthorities.authority(
          number, reference,
          state: SigningAuthority.State.allCases.randomElement(using: &random) ?? .prepared,
          domain: id))
    case 18:
      let types = SettingDefinition.ValueType.allCases
      let items = [
        ContractConfiguration.setting(id, types.randomElement(using: &random) ?? .bool),
        ContractConfiguration.plan(id), ContractConfiguration.flag(id),
      ]
      return .putConfigurationItem(items.randomElement(using: &random) ?? items[0])
    case 19:
      let kinds = ConfigurationItem.Kind.allCases
      return .deleteConfigurationItem(kinds.randomElement(using: &random) ?? .plan, id: id)
    case 13: return .deleteWorkloadEntry(id: ContractWorkloads.id(number))
    default:
      tenant.version += 1
      tenant.state = TenantState.known.randomElement(using: &random) ?? .active
      tenant.configuration.customSettings["n"] = .number(Double(random.next()))
      tenant.configuration.customSettings["p"] = .string(String(repeating: "p", count: padding))
      return .putTenant(tenant)
    }
  }
}
