/// A dictionary of at most `capacity` values; the oldest makes room for the newest.
package struct BoundedCache<Key: Hashable, Value> {
  package let capacity: Int
  private var values: [Key: Value] = [:]
  /// Keys by age; a ring, of which `next` is the oldest once it is full.
  private var keys: [Key] = []
  private var next = 0

  package init(capacity: Int) { self.capacity = capacity }

  package var count: Int { values.count }

  package subscript(key: Key) -> Value? { values[key] }

  /// Replaces the value of `key`, or adds it. Returns what had to go.
  @discardableResult
  package mutating func insert(_ value: Value, for key: Key) -> Value? {
    guard capacity > 0 else { return value }
    if let old = values.updateValue(value, forKey: key) { return old }
    guard keys.count == capacity else {
      keys.append(key)
      return nil
    }
    let oldest = keys[next]
    keys[next] = key
    next = (next + 1) % capacity
    return values.removeValue(forKey: oldest)
  }
}

extension BoundedCache: Sendable where Key: Sendable, Value: Sendable {}
