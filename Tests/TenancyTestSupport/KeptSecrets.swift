package import Tenancy

/// What no load gives back.
package struct KeptSecrets {
  package var sealed: [SecretPlace: StoredSecret] = [:]
  package var keys: [KeyID: WrappedDataKey] = [:]
  package var operations: [TenantID: [TenantOperation]] = [:]

  package mutating func apply(_ entry: LogEntry) {
    for change in entry.changes {
      switch change {
      case .putSecret(let tenant, let purpose, let reference, let content):
        sealed[SecretPlace(tenant: tenant, purpose: purpose)] = content.map {
          StoredSecret(reference: reference, sealed: $0)
        }
      case .deleteSecret(let tenant, let purpose):
        sealed[SecretPlace(tenant: tenant, purpose: purpose)] = nil
      case .putDataKey(let key): keys[key.id] = key
      case .putTenant, .putRole, .deleteRole, .putAssignment, .deleteAssignment, .putGroup,
        .deleteGroup, .putGroupMember, .deleteGroupMember,
        .putProvisioningStep, .clearProvisioningSteps, .reserveName, .retireSlug,
        .rememberRequest, .forgetRequests, .putRevocation, .forgetRevocations,
        .putWorkloadEntry, .deleteWorkloadEntry, .putAuthority, .deleteAuthority, .putDomain,
        .deleteDomain, .putConfigurationItem, .deleteConfigurationItem:
        break
      case .putOperation(let operation):
        let others = operations[operation.tenant, default: []].filter {
          $0.number != operation.number
        }
        let all = (others + [operation]).sorted { $0.number > $1.number }
        operations[operation.tenant] = Array(all.prefix(TenantOperation.maximumKept))
      case .deleteOperations(let tenant): operations[tenant] = nil
      }
    }
  }

  /// What real stores refuse.
  package func check(_ entries: [LogEntry]) throws(StoreError) {
    for change in entries.flatMap(\.changes) {
      if case .putSecret(_, _, _, nil) = change {
        throw StoreError(.conflict, "the secret has no content")
      }
      if case .putDataKey(let key) = change, key.wrapped.isEmpty {
        throw StoreError(.conflict, "the key has no content")
      }
    }
    var after = self
    for entry in entries { after.apply(entry) }
    guard after.keys.values.count(where: { $0.state == .active }) <= 1 else {
      throw StoreError(.conflict, "there are two active keys")
    }
    guard after.sealed.values.allSatisfy({ after.keys[$0.reference.key] != nil }) else {
      throw StoreError(.conflict, "there is no such key")
    }
  }
}
