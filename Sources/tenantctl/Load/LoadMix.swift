/// Which method each call is of, in proportion to weights.
struct LoadMix: Sendable, Equatable {
  /// The sum of the weights up to each method.
  private let sums: [UInt64]

  /// - Precondition: the weights are not empty, and more than 0.
  init(weights: [Int]) {
    var sum: UInt64 = 0
    sums = weights.map { weight in
      sum += UInt64(weight)
      return sum
    }
  }

  var count: Int { sums.count }

  /// The same for the same number, whoever asks.
  func method(_ number: UInt64) -> Int {
    guard count > 1 else { return 0 }
    let draw = SplitMix64.mix(number &+ 1) % sums[count - 1]
    return sums.firstIndex { draw < $0 } ?? 0  // The last sum is larger than any draw.
  }
}

/// A method that can be called for load.
enum LoadMethod: String, CaseIterable, Sendable {
  case resolve
  case check
}

/// `NAME` or `NAME=WEIGHT`, as `--method` takes it.
struct WeightedMethod: Equatable {
  static let maximumWeight = 1_000_000

  let method: LoadMethod
  let weight: Int

  init(parsing text: String) throws(UsageError) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard let method = LoadMethod(rawValue: String(parts[0])) else {
      let known = LoadMethod.allCases.map(\.rawValue).joined(separator: " and ")
      throw UsageError("there is no method '\(parts[0])' for load; there are \(known)")
    }
    self.method = method
    guard parts.count == 2 else {
      weight = 1
      return
    }
    guard let weight = Int(parts[1]), (1...Self.maximumWeight).contains(weight) else {
      throw UsageError("a weight is a number from 1 to \(Self.maximumWeight), not '\(parts[1])'")
    }
    self.weight = weight
  }
}
