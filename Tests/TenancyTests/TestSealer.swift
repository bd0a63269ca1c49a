import Synchronization
import TenancyTestSupport

@testable import Tenancy

/// Keeps what sealers promise, and hides nothing: what is sealed is the place and the secret, turned over.
final class TestSealer: SecretSealer {
  private struct State {
    var master = KeyID(high: 0, low: 1)
    var keys: Set<KeyID> = []
    var active: KeyID?
    var made: UInt64 = 0
    var barrier: Barrier?
  }
  private let state = Mutex(State())

  /// - Parameter active: whether there is a data key, which no store knows.
  init(active: Bool = false) {
    if active { state.withLock { $0.active = KeyID(high: 9, low: 9) } }
    if let key = activeKey { state.withLock { _ = $0.keys.insert(key) } }
  }

  func replaceMaster(by id: KeyID) { state.withLock { $0.master = id } }

  /// Makes the next keys wait before they are taken in.
  func holdNextInstall() -> Barrier {
    let barrier = Barrier()
    state.withLock { $0.barrier = barrier }
    return barrier
  }

  func install(_ keys: [WrappedDataKey]) throws(SecretError) {
    state.withLock { $0.barrier.take() }?.pass()
    state.withLock { state in
      state.active = keys.first { $0.state == .active }?.id
      state.keys.formUnion(keys.map(\.id))
    }
  }

  var activeKey: KeyID? { state.withLock { $0.active } }

  func makeDataKey(at now: Timestamp) throws(SecretError) -> WrappedDataKey {
    state.withLock { state in
      state.made += 1
      return WrappedDataKey(
        id: KeyID(high: 7, low: state.made), masterKey: state.master, wrapped: [1],
        createTime: now, state: .active)
    }
  }

  func rewrap(_ key: WrappedDataKey) throws(SecretError) -> WrappedDataKey? {
    let master = state.withLock { $0.master }
    if key.masterKey == master { return nil }
    return WrappedDataKey(
      id: key.id, masterKey: master, wrapped: key.wrapped + [2], createTime: key.createTime,
      state: key.state)
  }

  func seal(
    _ secret: ClearSecret, for place: SecretPlace, version: UInt64
  ) throws(SecretError) -> StoredSecret {
    guard let key = activeKey else { throw SecretError(.unknownKey, "none") }
    let reference = SecretReference(version: version, key: key)
    return StoredSecret(
      reference: reference,
      sealed: SealedSecret(bytes: Self.label(reference, place) + secret.reveal().reversed()))
  }

  func open(
    _ secret: StoredSecret, for place: SecretPlace
  ) throws(SecretError) -> ClearSecret {
    guard state.withLock({ $0.keys.contains(secret.reference.key) }) else {
      throw SecretError(.unknownKey, "none")
    }
    let label = Self.label(secret.reference, place)
    guard secret.sealed.bytes.starts(with: label) else { throw SecretError(.damaged, "moved") }
    return ClearSecret(bytes: secret.sealed.bytes.dropFirst(label.count).reversed())
  }

  private static func label(_ reference: SecretReference, _ place: SecretPlace) -> [UInt8] {
    Array("\(place.tenant)/\(place.purpose)/\(reference.version)/\(reference.key)/".utf8)
  }
}
