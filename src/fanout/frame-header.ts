/** FIN, and the opcode of a text. */
const FIN_TEXT = 0x81;
/** RSV1: the message is compressed. Source: RFC 7692, section 6. */
const COMPRESSED = 0x40;

/** The length of the header of a server's frame, in bytes. */
export function headerBytes(messageBytes: number): number {
  if (messageBytes < 126) return 2;
  return messageBytes < 65_536 ? 4 : 10;
}

/**
 * Writes the header of an unmasked text frame, as a server sends it. Source: RFC 6455, section 5.2.
 *
 * @returns the place behind it
 */
export function writeHeader(
  isCompressed: boolean,
  messageBytes: number,
  target: Buffer,
  at: number,
): number {
  target[at] = isCompressed ? FIN_TEXT | COMPRESSED : FIN_TEXT;
  if (messageBytes < 126) {
    target[at + 1] = messageBytes;
    return at + 2;
  }
  if (messageBytes < 65_536) {
    target[at + 1] = 126;
    target.writeUInt16BE(messageBytes, at + 2);
    return at + 4;
  }
  target[at + 1] = 127;
  target.writeUInt32BE(Math.floor(messageBytes / 2 ** 32), at + 2);
  target.writeUInt32BE(messageBytes % 2 ** 32, at + 6);
  return at + 10;
}
