/**
 * The text of `data` in a frame that `decodeMessage` accepted: what two sockets that deliver
 * the same publication have in common, whatever each wrote around it.
 */
export function dataText(frameText: string): string {
  // `"data"` inside of a JSON string would have its quotes escaped; as a value no colon follows it.
  const start = /"data"\s*:/.exec(frameText);
  if (start === null) return frameText;
  let depth = 0;
  let inString = false;
  for (let at = start.index + start[0].length; at < frameText.length; at++) {
    const character = frameText[at];
    if (inString) {
      if (character === '\\') at++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{') depth++;
    else if (character === '}' && --depth === 0) {
      return frameText.slice(start.index + start[0].length, at + 1).trim();
    }
  }
  return frameText;
}
