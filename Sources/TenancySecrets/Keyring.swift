internal import Synchronization
public import Tenancy
internal import TenancyCrypto

/// The keys of a process: the master keys that it was given, and a store's data keys, unwrapped. Formats:
/// see Formats.swift. Thread-safe.
public final class Keyring: SecretSealer {
  private struct State {
    var master: MasterKey
    var previous: [KeyID: MasterKey] = [:]
    var keys: [KeyID: DataKey] = [:]
    var active: KeyID?

    func master(_ id: KeyID) -> MasterKey? { id == master.id ? master : previous[id] }
  }
  private let state: Mutex<State>

  /// - Parameters:
  ///   - master: wraps data keys from now on.
  ///   - previous: unwraps those that were wrapped before.
  public init(master: MasterKey, previous: [MasterKey] = []) {
    state = Mutex(State(master: master))
    replaceMaster(by: master, previous: previous)
  }

  /// The master key that wraps data keys.
  public var masterKey: KeyID { state.withLock { $0.master.id } }

  /// Takes another master key. Data keys that are installed stay usable; `rewrap` wraps them by it.
  public func replaceMaster(by master: MasterKey, previous: [MasterKey] = []) {
    state.withLock { state in
      state.master = master
      state.previous = Dictionary(previous.map { ($0.id, $0) }) { first, _ in first }
    }
  }

  public func install(_ keys: [WrappedDataKey]) throws(SecretError) {
    try state.withLock { state throws(SecretError) in
      var next = state
      next.active = keys.first { $0.state == .active }?.id
      for key in keys where next.keys[key.id] == nil {
        next.keys[key.id] = try Self.unwrap(key, state)
      }
      state = next
    }
  }

  private static func unwrap(
    _ key: WrappedDataKey, _ state: State
  ) throws(SecretError) -> DataKey {
    guard let master = state.master(key.masterKey) else {
      throw SecretError(
        .unknownKey,
        "the data key \(key.id) is wrapped by the master key \(key.masterKey), which is not given: "
          + "the one that is given is \(state.master.id)")
    }
    do {
      return try Formats.unwrap(key.wrapped, id: key.id, under: master)
    } catch {
      throw SecretError(error.code, "the data key \(key.id): \(error)")
    }
  }

  public var activeKey: KeyID? { state.withLock { $0.active } }

  public func makeDataKey(at now: Timestamp) throws(SecretError) -> WrappedDataKey {
    let master = state.withLock { $0.master }
    let key = try asSecretError { () throws(CryptoError) in
      DataKey(id: KeyID(bytes: try RandomBytes.make(16)), key: try .random())
    }
    return WrappedDataKey(
      id: key.id, masterKey: master.id, wrapped: try Formats.wrap(key, under: master),
      createTime: now, state: .active)
  }

  public func rewrap(_ key: WrappedDataKey) throws(SecretError) -> WrappedDataKey? {
    let (master, installed) = state.withLock { ($0.master, $0.keys[key.id]) }
    if key.masterKey == master.id { return nil }
    guard let installed else { throw Self.unknown(key.id) }
    return WrappedDataKey(
      id: key.id, masterKey: master.id, wrapped: try Formats.wrap(installed, under: master),
      createTime: key.createTime, state: key.state)
  }

  public func seal(
    _ secret: ClearSecret, for place: SecretPlace, version: UInt64
  ) throws(SecretError) -> StoredSecret {
    guard let key = state.withLock({ state in state.active.flatMap { state.keys[$0] } }) else {
      throw SecretError(.unknownKey, "there is no active data key")
    }
    return try Formats.seal(secret.reveal(), at: place, version: version, under: key)
  }

  public func open(
    _ secret: StoredSecret, for place: SecretPlace
  ) throws(SecretError) -> ClearSecret {
    let id = secret.reference.key
    guard let key = state.withLock({ $0.keys[id] }) else { throw Self.unknown(id) }
    return try Formats.open(secret, at: place, under: key)
  }

  private static func unknown(_ id: KeyID) -> SecretError {
    SecretError(.unknownKey, "there is no data key \(id)")
  }
}
