import type { Script } from '../script.js';

export const turkish: readonly Script[] = [
  {
    about: 'work',
    lines: `
A: {Günaydın|Merhaba} {B}, {is} ne durumda?
B: {durum}
A: {date+2} tarihine yetişir mi?
B: {kosul} gelirse yetişir. Gelmezse bir gün kayar.
A: Tamam, ben onu hemen sorarım.
~ 2h
A: Sordum, bugün gönderiyorlar.
B: Süper, o zaman {date+2} kesin. 👍
~ 2d
B: Bitti, teslim ettim. ✅
A: Eline sağlık!
`,
    variants: [
      { is: 'yeni giriş ekranı', durum: 'Tasarım tamam, hata mesajlarının çevirisi eksik.', kosul: 'Çeviriler bugün' },
      {
        is: 'bütçe tablosu',
        durum: 'Ekim rakamları girildi, kasım için iki fatura bekliyorum.',
        kosul: 'Faturalar yarın sabaha kadar',
      },
      { is: 'performans testi', durum: 'Senaryolar hazır, test sunucusu kapalı.', kosul: 'Sunucu bu akşam geri' },
    ],
  },
  {
    about: 'work',
    lines: `
A: Müşteri toplantısından notlar:⏎⏎1. {n1}⏎2. {n2}⏎3. {n3}⏎⏎Cevabı {date+4} tarihine kadar bekliyorlar.
B: Teşekkürler, çok net olmuş. İkinci maddeyi ben alayım mı?
A: Çok iyi olur. Ben de teklifi güncellerim.
B: Fiyat değişecek mi?
A: {fiyat}
B: Anlaşıldı. Yarın öğlene kadar taslağı gönderirim. 📝
`,
    variants: [
      {
        n1: 'Depolarda internet zayıf, çevrimdışı çalışma istiyorlar.',
        n2: 'Eski telefonların listesini istediler.',
        n3: 'Eğitim Türkçe olsun.',
        fiyat: '250 kullanıcıya çıkarlarsa yüzde on beş indirim var.',
      },
      {
        n1: 'Veriler Türkiye’de kalmalı.',
        n2: 'KVKK için imzalı bir belge gerekiyor.',
        n3: 'Ocak ayında 60 kişiyle başlayacaklar.',
        fiyat: 'Hayır, sadece ödeme planı değişiyor.',
      },
    ],
  },
  {
    about: 'work',
    times: 3,
    lines: `
A: Toplantıyı {saat} yapabilir miyiz? {sebep}
B: {Olur|Tabii}, takvimde değiştiriyorum.
A: {Çok sağ ol!|Teşekkürler!} 🙏
`,
    variants: [
      { saat: '11:00 yerine 14:00’te', sebep: 'Dişçim öne aldı.' },
      { saat: 'yarın sabah', sebep: 'Vapur seferleri iptal, hâlâ karşıdayım.' },
      { saat: '15:30’da', sebep: 'Canlıda bir sorun çıktı, ona bakıyorum.' },
    ],
  },
  {
    about: 'friends',
    lines: `
A: Cumartesi {plan} var, geliyor musun?
B: {Gelmez miyim!|Tabii ki!} Saat kaçta?
A: {saat}, {yer}.
B: Ben {getir} getiririm.
A: Harika. Kedini kime bırakacaksın?
B: Üst komşu bakacak, bayılıyor ona. 🐈
~ sun
B: Dün çok güzeldi. {anı}
A: Haftaya yine! ❤️
`,
    variants: [
      {
        plan: 'Kadıköy’de kahvaltı',
        saat: '10:30',
        yer: 'iskelenin yanındaki yerde',
        getir: 'simit',
        anı: 'Üç saat oturmuşuz, farkında değilim.',
      },
      {
        plan: 'Adalar’da bisiklet turu',
        saat: '9:00',
        yer: 'Bostancı vapur iskelesi',
        getir: 'termos ve kurabiye',
        anı: 'Bacaklarım hâlâ titriyor.',
      },
      {
        plan: 'bizde mantı günü',
        saat: '13:00',
        yer: 'annem de burada',
        getir: 'yoğurt ve naneyi',
        anı: 'Annen bana tarif verdi, kimseye söyleme.',
      },
    ],
  },
  {
    about: 'friends',
    lines: `
A: Sana bir şey soracağım: {soru}
B: {cevap}
A: Emin misin?
B: Eminim, {neden}.
A: Tamam, seni dinliyorum.
~ 1d
A: {sonuc}
B: Ben demiştim. 😌
`,
    variants: [
      {
        soru: 'mavi koltuk mu yeşil koltuk mu?',
        cevap: 'Yeşil. Mavi duvarla kaybolur.',
        neden: 'iki ev döşedim, üç kere pişman oldum',
        sonuc: 'Yeşil geldi, oda bambaşka oldu!',
      },
      {
        soru: 'Kars’a trenle mi gitsem uçakla mı?',
        cevap: 'Trenle, hiç düşünme.',
        neden: 'o manzara uçaktan görünmüyor',
        sonuc: 'Bileti aldım, 26 saat, yataklı. 🚂',
      },
      {
        soru: 'İspanyolca kursuna yazılsam geç mi?',
        cevap: 'Geç diye bir şey yok.',
        neden: 'halam 62 yaşında başladı, şimdi dizi izliyor',
        sonuc: 'Yazıldım, ilk ders çarşamba. ¡Hola!',
      },
    ],
  },
  {
    about: 'friends',
    times: 3,
    lines: `
A: {Çay?|Kahve içelim mi?|Öğlen ne yiyoruz?}
B: {Geliyorum.|Beş dakikaya oradayım.|Aynı yer?}
A: {Bekliyorum ☕|Tamamdır.|Aynı yer, aynı masa.}
`,
  },
  {
    about: 'circle',
    lines: `
A: Arkadaşlar, {konu}. Öneriler?
B: Ben {b} derim.
C: {c} da güzel olur.
A: Oylayalım: {b} için 👍, {c} için ❤️.
B: 👍
C: 👍 Peki, çoğunluğa uyuyorum. 😄
A: *Karar:* {b}. {sat} günü, saat {saat}. Kim araba getiriyor?
B: Ben, dört kişi sığar.
A: Harika, yolda çay molası benden. 🚗
`,
    variants: [
      { konu: 'hafta sonu buluşması için yer seçelim', b: 'Ağva', c: 'Şile', saat: '9:00' },
      {
        konu: 'yılbaşı yemeğini planlayalım',
        b: 'Moda’daki meyhane',
        c: 'evde herkes bir şey getirsin',
        saat: '20:00',
      },
      { konu: 'film gecesi için film lazım', b: 'eski bir Yeşilçam filmi', c: 'bir Kore filmi', saat: '19:30' },
    ],
  },
  {
    about: 'circle',
    times: 3,
    lines: `
A: {Günaydın millet|Herkese günaydın} ☀️ {İstanbul’da trafik yine efsane.|Bugün vapurda martılar simidimi çaldı.}
B: {Günaydın! Geçmiş olsun 😂|Klasik.}
C: {Ben evden çalışıyorum, pijamalarla selamlar.|Akşam maç var, unutmayın!}
`,
  },
];
