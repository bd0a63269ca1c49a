import Foundation

/// When calls are due, whatever becomes of the calls before.
struct Timetable: Sequence, IteratorProtocol, Sendable {
  enum Spacing: Sendable {
    case even
    /// Exponential gaps: arrivals that know nothing of one another.
    case poisson(seed: UInt64)
  }

  private let gap: Double
  private let end: Double
  private let isRandom: Bool
  private var random: SplitMix64
  private var number: UInt64 = 0
  private var at = 0.0

  /// - Parameters:
  ///   - rate: per second; more than 0.
  ///   - length: nanoseconds. Nothing is due at it or later.
  init(rate: Double, length: UInt64, spacing: Spacing) {
    gap = 1e9 / rate
    end = Double(length)
    switch spacing {
    case .even: (isRandom, random) = (false, SplitMix64(state: 0))
    case .poisson(let seed): (isRandom, random) = (true, SplitMix64(state: seed))
    }
  }

  /// Nanoseconds after the start.
  mutating func next() -> UInt64? {
    let due: Double
    if isRandom {
      at -= log(1 - Double.random(in: 0..<1, using: &random)) * gap
      due = at
    } else {
      due = Double(number) * gap  // Multiplied, so that no error adds up.
      number += 1
    }
    return due < end ? UInt64(due) : nil
  }
}

/// A small generator of numbers that look random, the same for each seed (Steele, Lea, Flood 2014).
struct SplitMix64: RandomNumberGenerator, Sendable {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Self.mix(state)
  }

  static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
