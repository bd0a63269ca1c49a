/// Texts as CEL sees them: code points, compared by their UTF-8, in time linear in their lengths.
enum Text {
  static func same(_ left: String, _ right: String) -> Bool {
    let left = left.utf8Span.span
    let right = right.utf8Span.span
    let count = left.count
    guard count == right.count else { return false }
    var at = 0
    while at < count {
      if left[at] != right[at] { return false }
      at += 1
    }
    return true
  }

  /// Below zero if `left` comes before `right`, zero if they are the same.
  static func order(_ left: String, _ right: String) -> Int {
    order(left.utf8Span.span, right.utf8Span.span)
  }

  static func order(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Int {
    let count = min(left.count, right.count)
    var at = 0
    while at < count {
      if left[at] != right[at] { return left[at] < right[at] ? -1 : 1 }
      at += 1
    }
    return left.count - right.count
  }

  static func hash(_ text: String, into hasher: inout Hasher) {
    let bytes = text.utf8Span.span
    var at = 0
    while at + 8 <= bytes.count {
      var word: UInt64 = 0
      for place in at..<at + 8 { word = word << 8 | UInt64(bytes[place]) }
      hasher.combine(word)
      at += 8
    }
    // The rest, and a marker above it which tells its length.
    var rest: UInt64 = 1
    while at < bytes.count {
      rest = rest << 8 | UInt64(bytes[at])
      at += 1
    }
    hasher.combine(rest)
  }

  /// How many code points a text has.
  static func codePoints(_ text: String) -> Int {
    let bytes = text.utf8Span.span
    var count = 0
    for at in bytes.indices where bytes[at] & 0xC0 != 0x80 { count += 1 }
    return count
  }

  static func hasPrefix(_ text: String, _ prefix: String) -> Bool {
    let text = text.utf8Span.span
    let prefix = prefix.utf8Span.span
    guard prefix.count <= text.count else { return false }
    return order(text.extracting(first: prefix.count), prefix) == 0
  }

  static func hasSuffix(_ text: String, _ suffix: String) -> Bool {
    let text = text.utf8Span.span
    let suffix = suffix.utf8Span.span
    guard suffix.count <= text.count else { return false }
    return order(text.extracting(last: suffix.count), suffix) == 0
  }

  static func contains(_ text: String, _ part: String) -> Bool {
    TwoWaySearch.contains(text.utf8Span.span, part.utf8Span.span)
  }
}

/// Crochemore and Perrin's two-way search: linear in both texts, and without memory of its own.
enum TwoWaySearch {
  static func contains(_ text: Span<UInt8>, _ part: Span<UInt8>) -> Bool {
    guard part.count > 0 else { return true }
    guard part.count <= text.count else { return false }
    let ascending = maximalSuffix(part, isReversed: false)
    let descending = maximalSuffix(part, isReversed: true)
    let (cut, period) =
      ascending.start > descending.start
      ? (ascending.start, ascending.period) : (descending.start, descending.period)
    if repeats(part, cut: cut, period: period) {
      return periodicSearch(text, part, cut: cut, period: period)
    }
    return plainSearch(text, part, cut: cut, shift: max(cut, part.count - cut) + 1)
  }

  /// Where the suffix that is the largest by this order begins, and its period.
  private static func maximalSuffix(_ part: Span<UInt8>, isReversed: Bool)
    -> (start: Int, period: Int)
  {
    var start = -1
    var at = 0
    var offset = 1
    var period = 1
    while at + offset < part.count {
      let next = part[at + offset]
      let old = part[start + offset]
      if next == old {
        if offset == period {
          at += period
          offset = 1
        } else {
          offset += 1
        }
      } else if (next < old) != isReversed {
        at += offset
        offset = 1
        period = at - start
      } else {
        start = at
        at = start + 1
        offset = 1
        period = 1
      }
    }
    return (start + 1, period)
  }

  /// Whether what is left of the cut comes again one period later.
  private static func repeats(_ part: Span<UInt8>, cut: Int, period: Int) -> Bool {
    guard cut + period <= part.count else { return false }
    var at = 0
    while at < cut {
      if part[at] != part[at + period] { return false }
      at += 1
    }
    return true
  }

  private static func periodicSearch(
    _ text: Span<UInt8>, _ part: Span<UInt8>, cut: Int, period: Int
  ) -> Bool {
    var place = 0
    var known = 0
    while place <= text.count - part.count {
      var at = max(cut, known)
      while at < part.count, part[at] == text[place + at] { at += 1 }
      if at < part.count {
        place += at - cut + 1
        known = 0
        continue
      }
      at = cut - 1
      while at >= known, part[at] == text[place + at] { at -= 1 }
      if at < known { return true }
      place += period
      known = part.count - period
    }
    return false
  }

  private static func plainSearch(
    _ text: Span<UInt8>, _ part: Span<UInt8>, cut: Int, shift: Int
  ) -> Bool {
    var place = 0
    while place <= text.count - part.count {
      var at = cut
      while at < part.count, part[at] == text[place + at] { at += 1 }
      if at < part.count {
        place += at - cut + 1
        continue
      }
      at = cut - 1
      while at >= 0, part[at] == text[place + at] { at -= 1 }
      if at < 0 { return true }
      place += shift
    }
    return false
  }
}
