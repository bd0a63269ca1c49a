extension String {
  /// A statement as messages quote it: in one line, for a log has one for each event, and its begin only.
  package var quotedStatement: String {
    let words = split { $0.isWhitespace }.joined(separator: " ")
    return words.count > 200 ? words.prefix(200) + "…" : words
  }
}
