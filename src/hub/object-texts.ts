import { KeptShare } from './kept-share.ts';

/**
 * The most that is kept of one object's fields with a selection of their own, in texts and characters, and as
 * a part of what may be kept of a state.
 */
const MOST_SELECTIONS = 256;
const MOST_CHARACTERS = 16 * 1024;
const PART_OF_SHARE = 1 / 8;

/**
 * What has been written of an immutable object's fields, and of the objects below it: a tree beside the
 * object's own. Which field has which place is the renderers' business.
 */
export class ObjectTexts {
  readonly #of: object;
  readonly #share: KeptShare;
  /** The texts of leaves, by place. */
  readonly leaves: (string | undefined)[] = [];
  /** The texts of fields with a selection of their own, by what stands for field and selection. */
  #selections: Map<object, string> | undefined;
  #characters = 0;
  readonly #below: ObjectTexts[][] = [];

  /**
   * @param of the object that the texts are of
   * @param share that of the state that it belongs to
   */
  constructor(of: object, share: KeptShare = KeptShare.WHOLE) {
    this.#of = of;
    this.#share = share;
  }

  /** The text of a field with a selection of its own; `undefined` where none is kept. */
  ofSelection(field: object): string | undefined {
    return this.#selections?.get(field);
  }

  /** Keeps the text of a field with a selection of its own. */
  keep(field: object, text: string): void {
    const most = Math.min(MOST_CHARACTERS, this.#share.bytes * PART_OF_SHARE);
    if (text.length > most) return;
    this.#selections ??= new Map();
    // What is kept for selections that are gone must not grow while a contract stays as it is.
    const isFull = this.#selections.size >= MOST_SELECTIONS;
    if (isFull || this.#characters + text.length > most) {
      this.#selections.clear();
      this.#characters = 0;
    }
    this.#selections.set(field, text);
    this.#characters += text.length;
  }

  /**
   * The texts of an object below.
   *
   * @param place the field that it was read from
   * @param index where it stands in the field's list; 0 where it is none
   */
  below(place: number, index: number, object: object): ObjectTexts {
    let texts = this.#below[place];
    if (texts === undefined) {
      texts = [];
      this.#below[place] = texts;
    }
    const known = texts[index];
    // A field read with other arguments may have another object there.
    if (known !== undefined && known.#of === object) return known;
    const made = new ObjectTexts(object, this.#share);
    texts[index] = made;
    return made;
  }
}
