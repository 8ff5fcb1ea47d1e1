import type { NumberStyle } from './digits.ts';

/** The languages of the board. */
export type Language = 'en' | 'fa';

const ENGLISH = {
  title: 'IME market board',
  filter: 'Filter contracts',
  name: 'Contract',
  last: 'Last',
  change: 'Change',
  bid: 'Bid',
  ask: 'Ask',
  volume: 'Volume',
  openInterest: 'Open interest',
  status: 'Status',
  age: 'Age',
  pin: 'Pin',
  unpin: 'Unpin',
  pinnedOnly: 'Pinned only',
  contracts: 'contracts',
  none: 'No contract yet. Add one by its name.',
  nothingFound: 'No contract matches.',
  add: 'Add a contract by name',
  addButton: 'Add',
  connecting: 'Connecting',
  connected: 'Connected',
  reconnecting: 'Connection lost, reconnecting. What you see is the last that is known.',
  notReady: 'Upstream trouble',
  simulated: 'SIMULATED DATA: every price is invented',
  back: 'Back to the board',
  book: 'Order book',
  level: 'Level',
  bookNote: 'Quantity',
  price: 'Price',
  day: 'The day',
  open: 'Open',
  high: 'High',
  low: 'Low',
  previousClose: 'Previous close',
  closing: 'Closing',
  trades: 'Trades',
  value: 'Value',
  range: 'Allowed range',
  line: 'Last price since this page was opened',
  published: 'Published',
  theme: 'Dark or light',
  language: 'فارسی',
  digits: 'Persian digits',
  token: 'Access token',
  tokenNeeded: 'This gateway needs an access token.',
  tokenRefused: 'The token was refused. Try another one.',
  enter: 'Enter',
  seconds: 's',
  minutes: 'min',
  hours: 'h',
  LIVE: 'Live',
  STALE: 'Stale',
  PENDING: 'Pending',
  INVALID: 'Invalid',
} as const;

/** What can be said. */
export type Phrase = keyof typeof ENGLISH;

const PERSIAN: Record<Phrase, string> = {
  title: 'تابلوی بورس کالا',
  filter: 'جست‌وجوی قرارداد',
  name: 'قرارداد',
  last: 'آخرین',
  change: 'تغییر',
  bid: 'خرید',
  ask: 'فروش',
  volume: 'حجم',
  openInterest: 'موقعیت باز',
  status: 'وضعیت',
  age: 'قدمت',
  pin: 'سنجاق کردن',
  unpin: 'برداشتن سنجاق',
  pinnedOnly: 'فقط سنجاق‌شده‌ها',
  contracts: 'قرارداد',
  none: 'هنوز قراردادی نیست. یکی را با نامش بیفزایید.',
  nothingFound: 'قراردادی پیدا نشد.',
  add: 'افزودن قرارداد با نام',
  addButton: 'افزودن',
  connecting: 'در حال اتصال',
  connected: 'متصل',
  reconnecting: 'اتصال قطع شد؛ در حال اتصال دوباره. آنچه می‌بینید آخرین دانسته است.',
  notReady: 'مشکل در منبع داده',
  simulated: 'داده‌های شبیه‌سازی‌شده: همهٔ قیمت‌ها ساختگی است',
  back: 'بازگشت به تابلو',
  book: 'دفتر سفارش‌ها',
  level: 'سطح',
  bookNote: 'مقدار',
  price: 'قیمت',
  day: 'امروز',
  open: 'اولین',
  high: 'بیشترین',
  low: 'کمترین',
  previousClose: 'پایانی دیروز',
  closing: 'پایانی',
  trades: 'معاملات',
  value: 'ارزش',
  range: 'بازهٔ مجاز',
  line: 'آخرین قیمت از زمان باز شدن این صفحه',
  published: 'زمان انتشار',
  theme: 'تیره یا روشن',
  language: 'English',
  digits: 'ارقام فارسی',
  token: 'توکن دسترسی',
  tokenNeeded: 'این درگاه به توکن دسترسی نیاز دارد.',
  tokenRefused: 'توکن پذیرفته نشد. توکن دیگری بدهید.',
  enter: 'ورود',
  seconds: 'ث',
  minutes: 'دق',
  hours: 'س',
  LIVE: 'زنده',
  STALE: 'کهنه',
  PENDING: 'در انتظار',
  INVALID: 'نامعتبر',
};

/** Says phrases in a language. */
export function phrases(language: Language): (phrase: Phrase) => string {
  const table: Record<Phrase, string> = language === 'fa' ? PERSIAN : ENGLISH;
  return (phrase) => table[phrase];
}

/** How numbers are written. */
export function numberStyle(language: Language, persianDigits: boolean): NumberStyle {
  return language === 'fa'
    ? { group: '٬', decimal: '٫', persianDigits }
    : { group: ',', decimal: '.', persianDigits };
}
