extension String {
  /// Whether there are no more Unicode scalars than `limit`, which the bytes of long text tell.
  func hasAtMost(characters limit: Int) -> Bool {
    utf8.count <= 4 * limit && unicodeScalars.count <= limit
  }
}
