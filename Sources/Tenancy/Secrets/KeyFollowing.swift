extension LogEntry {
  /// Whether it puts a data key, which the log does not hold.
  var replacesKeys: Bool {
    changes.contains { change in
      if case .putDataKey = change { true } else { false }
    }
  }
}

extension ControlPlane {
  /// Takes in the data keys that the store has: another node may have made or wrapped one.
  /// - Throws: `.unavailable` if one is wrapped by a master key that this node does not have: it then knows
  ///   less than it must to serve.
  func installKeys() throws(StoreError) {
    guard let sealer else { return }
    let keys = try store.dataKeys()
    do throws(SecretError) {
      try sealer.install(keys)
    } catch {
      throw StoreError(
        .unavailable, "table data_keys: \(error): set secrets.master_key to the store's")
    }
  }
}
